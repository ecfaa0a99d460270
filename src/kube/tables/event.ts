import { at, numberOf, textAt, type JsonObject } from "../json.ts";
import { ageSince } from "./age.ts";

/** The two Event kinds are one: fields of the newer group under their older names. */
function asCoreEvent(event: JsonObject): JsonObject {
  if (event["regarding"] === undefined && event["note"] === undefined) return event;
  return {
    ...event,
    involvedObject: event["regarding"],
    message: event["note"],
    source: event["deprecatedSource"],
    count: event["deprecatedCount"],
    firstTimestamp: event["deprecatedFirstTimestamp"],
    lastTimestamp: event["deprecatedLastTimestamp"],
    reportingComponent: event["reportingController"],
  };
}

function eventSource(event: JsonObject): string {
  const component = textAt(event, "source", "component") || textAt(event, "reportingComponent");
  const host = textAt(event, "source", "host") || textAt(event, "reportingInstance");
  return host === "" ? component : `${component}, ${host}`;
}

/** All cells of an event, its name last. */
export function eventCells(object: JsonObject, now: Date): (string | number)[] {
  const event = asCoreEvent(object);
  const first = ageSince(event["firstTimestamp"] ?? event["eventTime"], now);
  const series = event["series"];
  const last = ageSince(
    at(series, "lastObservedTime") ?? event["lastTimestamp"] ?? event["firstTimestamp"] ?? event["eventTime"],
    now,
  );
  const kind = textAt(event, "involvedObject", "kind").toLowerCase();
  const name = textAt(event, "involvedObject", "name");
  return [
    last,
    textAt(event, "type"),
    textAt(event, "reason"),
    name === "" ? kind : `${kind}/${name}`,
    textAt(event, "involvedObject", "fieldPath"),
    eventSource(event),
    textAt(event, "message").trim(),
    first,
    numberOf(at(series, "count")) || numberOf(event["count"]) || 1,
    textAt(event, "metadata", "name"),
  ];
}
