/** What the supervisor (in the host's namespaces) and the cluster process say to each other over IPC. */
import type { KubeObject } from "#kube";
import type { Fault } from "#model";
import type { ClusterConfig } from "./config.ts";
import type { EgressLink } from "./egress.ts";

export interface Identity {
  readonly caCertificate: string;
  readonly serverCertificate: string;
  readonly serverKey: string;
}

export type ToCluster =
  | {
      readonly type: "start";
      readonly config: ClusterConfig;
      readonly objects: readonly KubeObject[];
      /** `file:line` by `Kind namespace/name`. */
      readonly locations: Readonly<Record<string, string>>;
    }
  | { readonly type: "identity"; readonly identity: Identity }
  /** The answer to `issue`: serves TLS for hosts without a usable Secret. */
  | { readonly type: "ingress-certificate"; readonly certificate: string; readonly key: string }
  /** Comes with a net.Server that listens on the host's loopback. */
  | { readonly type: "api-listener" }
  | { readonly type: "publish-listener"; readonly port: number }
  /** Comes with a dgram.Socket of the host's namespace. */
  | { readonly type: "dns-socket" }
  /** The answer to `dns-tcp`: a DNS message in base64; absent when none came. */
  | { readonly type: "dns-tcp-answer"; readonly id: number; readonly reply?: string }
  /** The supervisor has put a device for the way out into the cluster's home namespace. */
  | { readonly type: "egress"; readonly link: EgressLink }
  | { readonly type: "stop" };

export type FromCluster =
  /**
   * The process runs in its namespaces; its descriptor of its home network. /proc/PID/ns/net is no name for it: the
   * thread that it belongs to is in other namespaces at times.
   */
  | { readonly type: "booted"; readonly home: number }
  /** Asks for a certificate of the cluster's CA for these hosts. */
  | { readonly type: "issue"; readonly hosts: readonly string[] }
  /** Asks for a query (a DNS message in base64) to be carried by TCP to one of the host's name servers. */
  | { readonly type: "dns-tcp"; readonly id: number; readonly server: string; readonly query: string }
  | { readonly type: "ready"; readonly summary: ClusterStatus }
  | { readonly type: "failed"; readonly code: string; readonly message: string; readonly mend?: string }
  | { readonly type: "log"; readonly line: string };

/** What `inroad status` shows, and the cluster tells when it is ready. */
/** What `inroad status` gets: with what must be asked of the kernel. */
export interface StatusAnswer extends ClusterStatus {
  /** Service ports that connections came to: how evenly their endpoints met them. */
  readonly balance: readonly {
    readonly node: string;
    readonly list: string;
    readonly connections: number;
    readonly spread: number;
  }[];
  /** Endpoints that get nothing new from a node, since they do not answer it. */
  readonly silent: readonly { readonly node: string; readonly endpoint: string }[];
}

export interface ClusterStatus {
  readonly name: string;
  readonly ready: boolean;
  /** Why it is not ready; empty when it is. */
  readonly waitingFor: readonly string[];
  readonly proxyMode: string;
  /** How nodes reach each other's pods. */
  readonly overlay: string;
  readonly ipFamilies: readonly string[];
  readonly rootless: boolean;
  /** What users should know of its network. */
  readonly notes: readonly string[];
  readonly nodes: readonly {
    readonly name: string;
    readonly address: string;
    readonly addresses: readonly string[];
    readonly ready: boolean;
    /** Of its pods' links, in bytes: what the paths to other nodes carry; 0 where there are no such links. */
    readonly mtu: number;
  }[];
  readonly pods: readonly {
    readonly namespace: string;
    readonly name: string;
    readonly node: string;
    readonly address: string;
    readonly addresses: readonly string[];
    readonly ready: boolean;
  }[];
  readonly services: readonly {
    readonly namespace: string;
    readonly name: string;
    readonly type: string;
    readonly clusterIP: string;
    readonly addresses: readonly string[];
  }[];
  readonly hosts: readonly { readonly host: string; readonly address: string; readonly tls: boolean }[];
  /** What is broken on purpose. */
  readonly faults: readonly (Fault & { readonly text: string })[];
  readonly findings: readonly {
    readonly severity: string;
    readonly object: string;
    readonly message: string;
    readonly mend?: string;
  }[];
}
