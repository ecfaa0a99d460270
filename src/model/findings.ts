import type { Finding, ObjectRef, Snapshot } from "./types.ts";

/** Findings by the objects that they are about, built once per snapshot. */
const indexes = new WeakMap<Snapshot, ReadonlyMap<string, readonly Finding[]>>();

/** What should be known about an object, in the order of the snapshot's findings. */
export function findingsAbout(snapshot: Snapshot, object: ObjectRef): readonly Finding[] {
  const index = indexes.get(snapshot) ?? indexFindings(snapshot.findings);
  indexes.set(snapshot, index);
  return index.get(refKey(object)) ?? [];
}

function indexFindings(findings: readonly Finding[]): ReadonlyMap<string, readonly Finding[]> {
  const index = new Map<string, Finding[]>();
  for (const finding of findings) {
    for (const key of new Set([finding.object, ...(finding.affects ?? [])].map(refKey))) {
      index.set(key, [...(index.get(key) ?? []), finding]);
    }
  }
  return index;
}

function refKey({ kind, namespace, name }: ObjectRef): string {
  return `${kind} ${namespace ?? ""}/${name}`;
}
