import type { Schemas } from "./types.ts";

/** Event of the newer group. One line per field; the notation is explained in types.ts. */
export const eventsSchemas: Schemas = {
  package: "events.v1",
  types: {
    Event: {
      kind: "string",
      apiVersion: "string",
      metadata: "meta.v1.ObjectMeta",
      eventTime: "micro-time required",
      series: "*EventSeries",
      reportingController: "string",
      reportingInstance: "string",
      action: "string",
      reason: "string",
      regarding: "core.v1.ObjectReference",
      related: "*core.v1.ObjectReference",
      note: "string",
      type: "string",
      deprecatedSource: "core.v1.EventSource",
      deprecatedFirstTimestamp: "time",
      deprecatedLastTimestamp: "time",
      deprecatedCount: "int32",
    },
    EventSeries: {
      count: "int32 required",
      lastObservedTime: "micro-time required",
    },
  },
};
