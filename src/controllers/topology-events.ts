import type { EventRecorder } from "#client";
import { objectKey } from "#client";
import { kind, type Service, subjectOf } from "./objects.ts";
import type { ServiceSlicesPlan } from "./slices-plan.ts";

const serviceKind = kind("v1", "Service");

/** Tells by events when topology aware routing begins to work for a Service, stops, or cannot be had. */
export interface TopologyEvents {
  note(service: Service, topology: ServiceSlicesPlan["topology"]): void;
  forget(key: string): void;
}

/** An event for each change, not for each look. */
export function createTopologyEvents(recorder: EventRecorder): TopologyEvents {
  const told = new Map<string, ReadonlyMap<string, string>>();
  return {
    note: (service, topology) => {
      const key = objectKey(service);
      const before = told.get(key) ?? new Map<string, string>();
      const tell = (works: boolean, why: string, family: string): void =>
        recorder.event(
          subjectOf(serviceKind, service),
          works ? "Normal" : "Warning",
          works ? "TopologyAwareHintsEnabled" : "TopologyAwareHintsDisabled",
          `${why}, addressType: ${family}`,
        );
      for (const { family, works, why } of topology) {
        if (before.get(family) !== why) tell(works, why, family);
      }
      for (const family of before.keys()) {
        if (topology.some((one) => one.family === family)) continue;
        tell(false, "Topology Aware Hints configuration was disabled", family);
      }
      if (topology.length === 0) told.delete(key);
      else told.set(key, new Map(topology.map(({ family, why }) => [family, why])));
    },
    forget: (key) => void told.delete(key),
  };
}
