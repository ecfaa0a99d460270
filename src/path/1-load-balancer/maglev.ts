/**
 * Consistent hashing by lookup table (Eisenbud et al., "Maglev", NSDI 2016, section 3.4): nodes have equal shares of the slots,
 * and when one comes or goes, few slots change hands but its own.
 */
import { createHash } from "node:crypto";

/** A prime, and much more than there are nodes: at ten nodes their shares differ by 2 %. */
export const MAGLEV_SLOTS = 503;

/** The nodes of the slots 0 to MAGLEV_SLOTS - 1, by name; empty without nodes. The same on every machine. */
export function maglevTable(nodes: readonly string[]): readonly string[] {
  if (nodes.length === 0) return [];
  const slots = new Map<number, string>();
  const turns = nodes.map((node) => ({ node, next: preferences(node) }));
  while (slots.size < MAGLEV_SLOTS) {
    for (const { node, next } of turns) {
      if (slots.size === MAGLEV_SLOTS) break;
      let slot = next();
      while (slots.has(slot)) slot = next();
      slots.set(slot, node);
    }
  }
  return [...slots].sort(([one], [other]) => one - other).map(([, node]) => node);
}

/** The slots in the order in which a node wants them: since their number is a prime, every step meets all of them. */
function preferences(node: string): () => number {
  const digest = createHash("sha256").update(node).digest();
  const step = 1 + (digest.readUInt32BE(4) % (MAGLEV_SLOTS - 1));
  let at = digest.readUInt32BE(0) % MAGLEV_SLOTS;
  return () => {
    const slot = at;
    at = (at + step) % MAGLEV_SLOTS;
    return slot;
  };
}
