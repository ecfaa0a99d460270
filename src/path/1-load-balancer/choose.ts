/** The node of each new connection, where it is this process that chooses and not a rule in the kernel. */
import { createHash } from "node:crypto";
import type { LoadBalancerAlgorithm } from "#model";
import { MAGLEV_SLOTS, maglevTable } from "./maglev.ts";

/** Undefined where there is no node. */
export type ChooseNode = (client: { readonly address: string; readonly port: number }) => string | undefined;

/** Chooses among these nodes; `round-robin` begins with the first. */
export function nodeChooser(algorithm: LoadBalancerAlgorithm, nodes: readonly string[]): ChooseNode {
  if (algorithm === "round-robin") {
    let next = 0;
    return () => nodes[next++ % nodes.length];
  }
  const table = maglevTable(nodes);
  return ({ address, port }) =>
    table[hash(algorithm === "source-hash" ? address : `${address} ${port}`) % MAGLEV_SLOTS];
}

function hash(text: string): number {
  return createHash("sha256").update(text).digest().readUInt32BE(0);
}
