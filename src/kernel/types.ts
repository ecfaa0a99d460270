import type { LoopbackMap } from "./loopback.ts";

/**
 * The door to the Linux kernel. Only `src/kernel` runs programs or makes system calls on namespaces;
 * hops hold `NetNs` handles and call these functions.
 */

/** A network namespace, held by a file descriptor; nothing is ever put under /run/netns. */
export interface NetNs {
  /** For messages only: `node-a`, `pod default/api-1`, `internet`. */
  readonly name: string;
  readonly fd: number;
  /** `/proc/<pid>/fd/<fd>`: what `ip link ... netns PATH` and nsenter take. */
  readonly path: string;
}

/** A place without a namespace of its own: an address of the cluster, whose image is a loopback address of the host. */
export interface LoopbackPlace {
  /** For messages only. */
  readonly name: string;
  /** The place's own address in the cluster: its sockets are bound to the image of it. */
  readonly address: string;
  readonly map: LoopbackMap;
}

/** Where sockets live: pods, nodes, the edge, the world outside. */
export type NetPlace = NetNs | LoopbackPlace;

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** One tracked connection as conntrack shows it. Addresses are text, ports numbers. */
export interface ConntrackEntry {
  readonly protocol: "tcp" | "udp";
  readonly state: string | undefined;
  readonly original: Tuple;
  readonly reply: Tuple;
  readonly mark: number;
}

export interface Tuple {
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
}
