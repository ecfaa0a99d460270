/** What can be broken on purpose (`inroad fault`). */

export type Fault = {
  readonly id: number;
  /** RFC 3339. */
  readonly since: string;
} & FaultKind;

export type FaultKind =
  /** The node is cut off: its link is down, and its agent does not reach the API server. */
  | { readonly kind: "node-down"; readonly node: string }
  /** Nothing passes between two nodes. */
  | { readonly kind: "partition"; readonly node: string; readonly other: string }
  /** Packets that leave a node come so much later. */
  | { readonly kind: "latency"; readonly node: string; readonly milliseconds: number }
  /** Of the packets that enter or leave a node so many are lost, each by itself. */
  | { readonly kind: "loss"; readonly node: string; readonly percent: number }
  /** A stand-in says of itself that it is not ready. */
  | { readonly kind: "unready"; readonly namespace: string; readonly pod: string };

/** A fault in one phrase. */
export function describeFault(fault: FaultKind): string {
  switch (fault.kind) {
    case "node-down":
      return `${fault.node} is cut off`;
    case "partition":
      return `nothing passes between ${fault.node} and ${fault.other}`;
    case "latency":
      return `packets leave ${fault.node} ${fault.milliseconds} ms later`;
    case "loss":
      return `${fault.node} loses ${fault.percent} % of the packets that enter or leave it`;
    default:
      return `pod ${fault.namespace}/${fault.pod} says that it is not ready`;
  }
}
