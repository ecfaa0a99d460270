/** What the rules really did to one connection: read from the kernel's connection table. */
import type { ConntrackEntry } from "#kernel";
import type { Flow } from "#model";
import type { Backend } from "./rotation.ts";

export interface ObservedChoice {
  readonly endpoint: Backend;
  /** The source that the endpoint sees, where it was rewritten. */
  readonly masqueradedTo?: Backend;
  /** One line for people. */
  readonly evidence: string;
}

/**
 * The endpoint that a connection was sent to: in the entry whose original direction is the flow, the reply comes from
 * it. Undefined if there is no such entry, if it was not translated, or if the flow has no source port and several
 * entries match: then nobody can say which one it is.
 */
export function chosenEndpoint(entries: readonly ConntrackEntry[], flow: Flow): ObservedChoice | undefined {
  const matching = entries.filter(({ protocol, original }) => {
    const { source, destination } = flow;
    return (
      protocol === flow.protocol.toLowerCase() &&
      original.source === source.address &&
      (source.port === undefined || original.sourcePort === source.port) &&
      original.destination === destination.address &&
      original.destinationPort === destination.port
    );
  });
  const [entry] = matching;
  if (entry === undefined || matching.length > 1) return undefined;
  const { original, reply } = entry;
  const same = reply.source === original.destination && reply.sourcePort === original.destinationPort;
  if (same) return undefined;
  const kept = reply.destination === original.source && reply.destinationPort === original.sourcePort;
  return {
    endpoint: { address: reply.source, port: reply.sourcePort },
    ...(kept ? {} : { masqueradedTo: { address: reply.destination, port: reply.destinationPort } }),
    evidence:
      `conntrack ${entry.protocol} ${original.source}:${original.sourcePort} -> ` +
      `${original.destination}:${original.destinationPort}, reply ${reply.source}:${reply.sourcePort} -> ` +
      `${reply.destination}:${reply.destinationPort}`,
  };
}
