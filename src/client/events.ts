import { kindOf, type KubeObject, type Resource } from "#kube";
import { codeOf, messageOf } from "#lib/errors";
import { type Log, silentLog } from "#lib/log";
import type { Client } from "./client.ts";
import { type Clock, systemClock } from "./clock.ts";

/** What an event is about. */
export interface EventSubject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace?: string;
  readonly name: string;
  readonly uid?: string;
}

export interface EventRecorder {
  /**
   * Records an event. The same event about the same object again only raises the count of the first one. Never
   * fails: what cannot be written is logged.
   */
  event(subject: EventSubject, type: "Normal" | "Warning", reason: string, message: string): void;
  /** Resolves when everything recorded so far is written. */
  flush(): Promise<void>;
}

interface Known {
  readonly name: string;
  readonly namespace: string;
  readonly firstTimestamp: string;
  count: number;
  /** Whether the server knows of this count. */
  written: number;
  writing: Promise<void> | undefined;
}

/** How many different events are remembered for aggregation; client-go's correlator remembers as many. */
const memory = 4096;

const events: Resource = kindOf("v1", "Event") ?? {
  group: "",
  version: "v1",
  kind: "Event",
  plural: "events",
  namespaced: true,
};

/** Records core/v1 Events in the name of a component (`deployment-controller`). */
export function createEventRecorder(
  client: Client,
  component: string,
  options: { readonly log?: Log; readonly clock?: Clock } = {},
): EventRecorder {
  const { log = silentLog, clock = systemClock } = options;
  const known = new Map<string, Known>();
  let sequence = 0;

  const write = async (one: Known, create: () => KubeObject): Promise<void> => {
    while (one.written < one.count) {
      const count = one.count;
      const change = { count, lastTimestamp: timestamp(clock) };
      try {
        if (one.written === 0) await client.create(events, create());
        else await client.patch(events, one.name, one.namespace, change, { type: "merge" });
        one.written = one.written === 0 ? 1 : count;
      } catch (error) {
        // Events expire; then the next one starts anew. Anything else is not worth holding up the caller.
        if (codeOf(error) !== "NotFound") log.warn(`cannot record an event: ${messageOf(error)}`);
        one.written = codeOf(error) === "NotFound" && one.written > 0 ? 0 : count;
      }
    }
    one.writing = undefined;
  };
  return {
    event: (subject, type, reason, message) => {
      const key = [subject.kind, subject.namespace, subject.name, subject.uid, type, reason, message].join(
        "\0",
      );
      const one = known.get(key) ?? {
        // As client-go names them: the object's name, and the time in hexadecimal.
        name: `${subject.name}.${(clock.now() * 1000 + (sequence++ % 1000)).toString(16)}`,
        namespace: subject.namespace ?? "default",
        firstTimestamp: timestamp(clock),
        count: 0,
        written: 0,
        writing: undefined,
      };
      known.delete(key);
      known.set(key, one);
      if (known.size > memory) known.delete(known.keys().next().value ?? "");
      one.count += 1;
      one.writing ??= write(one, () => eventObject(one, component, subject, type, reason, message));
    },
    flush: async () => {
      for (const { writing } of known.values()) await writing;
    },
  };
}

function eventObject(
  one: Known,
  component: string,
  subject: EventSubject,
  type: string,
  reason: string,
  message: string,
): KubeObject {
  return {
    metadata: { name: one.name, namespace: one.namespace },
    involvedObject: { ...subject },
    reason,
    // The API takes no longer messages than 1024 characters.
    message: message.slice(0, 1024),
    type,
    source: { component },
    reportingComponent: component,
    firstTimestamp: one.firstTimestamp,
    lastTimestamp: one.firstTimestamp,
    count: 1,
  };
}

/** Seconds are what Kubernetes' times of this kind carry. */
function timestamp(clock: Clock): string {
  return new Date(clock.now()).toISOString().replace(/\.\d+Z$/, "Z");
}
