/** The trace document, and the evidence that it is compared with. */
import type { Finding, ObjectRef, PodAt, Step } from "#model";

export interface TraceRequest {
  /** `http:` or `https:`. */
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  /** `internet`, `node/NODE` or `pod/NAMESPACE/POD`. */
  readonly from: string;
}

/**
 * What was seen of one request, and of no other. Everything is optional: what could not be read is left out, and the
 * trace says that it is missing.
 */
export interface Observations {
  /** What the client saw. */
  readonly client?: ClientRecord;
  /** Who keeps the account of connections; `conntrack` if not said. */
  readonly keptBy?: "conntrack" | "proxy record";
  /**
   * Conntrack entries by the namespace they were read in: a node's name, or `edge`. Leave a namespace out if it could
   * not be read; give it without entries if it was read and had none.
   */
  readonly conntrack?: readonly { readonly node: string; readonly entries: readonly TrackedConnection[] }[];
  /** The record of the ingress that has this request's id. */
  readonly ingress?: IngressRecord & { readonly pod: PodAt };
  /** By which interface a node sends packets for an address (`ip route get`), asked when the request was there. */
  readonly routes?: readonly {
    readonly node: string;
    readonly destination: string;
    readonly device: string;
    readonly via?: string;
  }[];
  /** What NetworkPolicies kept back on each node; leave a node out if it could not be read. */
  readonly denied?: readonly { readonly node: string; readonly entries: readonly DeniedConnection[] }[];
  /** What the answering pod says of itself and of the request. */
  readonly pod?: PodAccount;
  /** The rules by which a node's kernel chooses an endpoint for `to` (address and port), one per line; for `wide`. */
  readonly rules?: readonly {
    readonly node: string;
    readonly to: string;
    readonly lines: readonly string[];
  }[];
}

export interface ClientRecord {
  readonly dns?: {
    readonly outcome?: string;
    readonly records: readonly { readonly type: string; readonly address?: string }[];
  };
  /** Its own end of the connection. */
  readonly client?: { readonly address: string; readonly port: number };
  /** The end it connected to. */
  readonly server?: { readonly address: string; readonly port: number };
  readonly tls?: { readonly serverName: string; readonly subject?: string; readonly problem?: string };
  readonly response?: { readonly status: number };
  /** Why there was no answer: a system error code (`ECONNREFUSED`, `ETIMEDOUT`) or one of ours. */
  readonly error?: { readonly code: string; readonly message: string };
  /** Milliseconds. */
  readonly timing?: {
    readonly dns?: number;
    readonly connect?: number;
    readonly tls?: number;
    readonly total?: number;
  };
}

/** A conntrack entry: the packet as it came, and the reply as it is expected. */
export interface TrackedConnection {
  readonly protocol: string;
  readonly state?: string | undefined;
  readonly original: Tuple;
  readonly reply: Tuple;
  /** How the first packet left the node, from the connection's mark. */
  readonly leftBy?: "overlay" | "pod" | "underlay" | undefined;
  /** At the edge: the node that the load balancer chose, from the connection's mark. */
  readonly toNode?: string | undefined;
}

/** A connection that policies kept back: its ends as it leaves the node, before masquerading. */
export interface DeniedConnection extends Tuple {
  readonly protocol: string;
  readonly direction: "egress" | "ingress";
}

export interface Tuple {
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
}

export interface IngressRecord {
  readonly requestId?: string;
  readonly client?: { readonly address: string; readonly port: number };
  readonly host: string;
  readonly path: string;
  readonly rule?: {
    readonly ingress: { readonly namespace: string; readonly name: string };
    readonly field: string;
    readonly pathType?: string;
    readonly path?: string;
  };
  readonly dns?: { readonly name: string; readonly address: string; readonly answer?: string };
  readonly upstream?: {
    readonly address: string;
    readonly port: number;
    readonly localAddress: string;
    readonly localPort: number;
  };
  readonly status?: number;
  /** Milliseconds since the request head was complete. */
  readonly timings?: {
    readonly resolved?: number;
    readonly connected?: number;
    readonly firstByte?: number;
    readonly total?: number;
  };
  readonly error?: string;
}

export interface PodAccount {
  readonly pod: string;
  readonly namespace: string;
  readonly node?: string;
  readonly address?: string;
  /** The address that its connection came from. */
  readonly peer?: string;
}

/** One thing that was predicted and looked at. */
export interface Check {
  /** `Service address -> pod`, `way out`, `answer` ... */
  readonly what: string;
  /** The values that are possible; one of them must be observed. */
  readonly predicted: readonly string[];
  readonly observed: string;
  readonly agrees: boolean;
  /** Where the observation is from: `conntrack node-a`, `ingress record`, `the pod itself` ... */
  readonly source: string;
}

export interface TraceStep extends Omit<Step, "predicted"> {
  /** The step of the seed's eight that this belongs to; 8 is the way back. */
  readonly stage: 1 | 2 | 3 | 4 | 5 | 6 | 7;
  readonly evidence: {
    /** What the planning functions put in place: rules, routes, records. */
    readonly predicted: readonly string[];
    readonly checks: readonly Check[];
    /** What should have been seen here, but could not be looked at. */
    readonly missing: readonly string[];
    /** Raw evidence: conntrack entries, rule text, log record; one line each. */
    readonly records: readonly string[];
    /** The objects that decide here, with `file:line` where that is known. */
    readonly objects: readonly (ObjectRef & { readonly where?: string })[];
  };
  /** Milliseconds. */
  readonly timing?: number;
}

/** One step of the way back. */
export interface ReplyStep {
  readonly component: string;
  readonly action: string;
  readonly from: string;
  readonly to: string;
  readonly rewrites: readonly string[];
  /** The conntrack entry that turns the reply around, where it was seen. */
  readonly observed?: string;
}

export interface TraceVerdict {
  readonly outcome: "delivered" | "rejected" | "dropped" | "unknown";
  readonly reason: string;
  readonly mend?: string;
  /** Where it was, or would be, delivered. */
  readonly pod?: PodAt & { readonly node?: string; readonly address?: string };
  readonly httpStatus?: number;
  /** Whether a real request was compared; false for a dry run. */
  readonly observed: boolean;
}

export interface Disagreement {
  /** `4-proxy`, or `verdict`. */
  readonly where: string;
  readonly component: string;
  readonly what: string;
  readonly predicted: readonly string[];
  readonly observed: string;
  readonly source: string;
}

export interface Trace {
  readonly apiVersion: "inroad.dev/v1";
  readonly kind: "Trace";
  readonly request: TraceRequest & { readonly id?: string };
  readonly steps: readonly TraceStep[];
  readonly wayBack: readonly ReplyStep[];
  readonly verdict: TraceVerdict;
  readonly disagreements: readonly Disagreement[];
  /** What should be known about the objects on the way. */
  readonly findings: readonly Finding[];
  /** Milliseconds from the first question to the end of the answer. */
  readonly timing?: number;
}
