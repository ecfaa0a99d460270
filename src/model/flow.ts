/**
 * A request on its way: what travels (`Flow`), where it is (`Place`), and what a hop says of it (`Explanation`).
 * The loop in `src/path/index.ts` drives a flow from place to place until an outcome ends it.
 */
import type { Finding, Protocol } from "./types.ts";

export interface Flow {
  readonly protocol: Protocol;
  readonly source: {
    readonly address: string;
    readonly port?: number;
    /** The address that the node at hand masquerades with `address` at the very end: its own rules still see this one. */
    readonly masqueraded?: string;
  };
  /** `address` is undefined while the name is not resolved yet. */
  readonly destination: { readonly name?: string; readonly address?: string; readonly port: number };
  readonly tls?: { readonly serverName: string };
  readonly http?: {
    readonly method: string;
    readonly host: string;
    /** Path with query, as sent. */
    readonly path: string;
    readonly headers: Readonly<Record<string, string>>;
  };
}

export type Place =
  /** The client outside asks the public DNS. */
  | { readonly at: "public-dns" }
  /** A client in a pod asks the cluster DNS, with the search path of its namespace. */
  | { readonly at: "cluster-dns"; readonly pod: PodAt }
  /** A packet for a load-balancer address reached the edge. */
  | { readonly at: "edge" }
  /** A packet enters the Service rules of a node. */
  | { readonly at: "proxy"; readonly node: string; readonly from: "outside" | "node" | "pod" }
  /** A packet for a pod (or other) address is to be routed by a node. */
  | { readonly at: "node"; readonly node: string }
  /** A packet reached a pod's network namespace. */
  | { readonly at: "pod"; readonly pod: PodAt }
  /** A request was read by the ingress controller in this pod. */
  | { readonly at: "ingress"; readonly pod: PodAt };

export interface PodAt {
  readonly namespace: string;
  readonly name: string;
}

export type HopName = "1-load-balancer" | "2-ingress" | "3-service" | "4-proxy" | "5-node" | "6-pod";

export interface Candidate {
  /** Node name, pod `namespace/name`, or address: whatever the hop chooses between. */
  readonly name: string;
  readonly address?: string;
  readonly port?: number;
  readonly eligible: boolean;
  /** Why it may or may not be chosen. */
  readonly reason?: string;
}

export interface Step {
  readonly hop: HopName;
  /** Who does it: `public DNS`, `load balancer`, `ingress inroad-system/ingress-x`, `proxy node-a (nftables)` ... */
  readonly component: string;
  /** One verb phrase: `resolve`, `forward`, `route`, `DNAT`, `encapsulate`, `deliver`, `reply` ... */
  readonly action: string;
  readonly from: string;
  readonly to: string;
  readonly decision?: {
    readonly algorithm: string;
    readonly candidates: readonly Candidate[];
    readonly chosen?: string;
    /** Name of the candidate whose turn was next when the kernel was asked, shortly before. */
    readonly next?: string;
    readonly reason: string;
  };
  /** What else was considered and why it lost (rules, paths, hosts). */
  readonly evaluated: readonly { readonly what: string; readonly matched: boolean; readonly why: string }[];
  /** Address, header or path changes: `destination 10.96.1.1:80 -> 10.244.1.5:8080`. */
  readonly rewrites: readonly string[];
  /** What the planning functions put in place: rule text, route, record; one line each. */
  readonly predicted: readonly string[];
}

export interface Alternative {
  /** Equal to the `name` of a candidate of the last step, when there is a choice. */
  readonly name: string;
  readonly place: Place;
  readonly flow: Flow;
}

export type Outcome =
  /** The flow goes on at one of these; more than one where the hop balances. */
  | { readonly kind: "next"; readonly alternatives: readonly Alternative[] }
  | { readonly kind: "delivered"; readonly pod: PodAt }
  | {
      readonly kind: "rejected" | "dropped";
      readonly reason: string;
      readonly mend?: string;
      readonly httpStatus?: number;
    }
  | { readonly kind: "unknown"; readonly reason: string; readonly mend?: string };

export interface Explanation {
  readonly steps: readonly Step[];
  readonly outcome: Outcome;
  /** Findings this explanation depends on; one that `affectsRouting` makes the verdict `unknown`. */
  readonly assumptions: readonly Finding[];
}
