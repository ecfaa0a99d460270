import type { KubeObject } from "#kube";

/** Field names of core/v1 Events and what events.k8s.io/v1 calls them. */
const RENAMED: readonly (readonly [core: string, grouped: string])[] = [
  ["involvedObject", "regarding"],
  ["message", "note"],
  ["source", "deprecatedSource"],
  ["firstTimestamp", "deprecatedFirstTimestamp"],
  ["lastTimestamp", "deprecatedLastTimestamp"],
  ["count", "deprecatedCount"],
  ["reportingComponent", "reportingController"],
];

function rename(object: KubeObject, names: ReadonlyMap<string, string>, apiVersion: string): KubeObject {
  const result: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(object)) result[names.get(field) ?? field] = value;
  return { ...result, apiVersion };
}

const toGrouped = new Map(RENAMED);
const toCore = new Map(RENAMED.map(([core, grouped]) => [grouped, core]));

/** An events.k8s.io/v1 Event as core/v1, the form in which all Events are stored. */
export const eventToCore = (event: KubeObject): KubeObject => rename(event, toCore, "v1");

/** A stored Event as events.k8s.io/v1. */
export const eventFromCore = (event: KubeObject): KubeObject => rename(event, toGrouped, "events.k8s.io/v1");
