/**
 * Which keys of the endpoint map belong to which list. A list owns a block of consecutive numbers; its rule counts
 * `numgen inc mod N offset BLOCK`, so one map serves all lists and yet every list has a counter of its own.
 */
import type { EndpointList } from "../plan.ts";

export interface Block {
  readonly offset: number;
  /** A power of two, so that freed blocks fit other lists. */
  readonly size: number;
}

export interface Layout {
  readonly blocks: ReadonlyMap<string, Block>;
  /** Offsets of unused blocks by size. */
  readonly free: ReadonlyMap<number, readonly number[]>;
  /** Everything from here on is unused. */
  readonly end: number;
}

export const emptyLayout: Layout = { blocks: new Map(), free: new Map(), end: 0 };

/**
 * Blocks for these lists. A list keeps its block while it fits; a block given up now is given out again by the next
 * layout only, because its old keys may still be in force while this one is being carried out.
 */
export function layOut(previous: Layout, lists: ReadonlyMap<string, EndpointList>): Layout {
  const blocks = new Map<string, Block>();
  const free = new Map([...previous.free].map(([size, offsets]) => [size, [...offsets]]));
  let end = previous.end;
  for (const [key, list] of lists) {
    const size = blockSize(list.slots.length);
    const own = previous.blocks.get(key);
    if (own?.size === size) {
      blocks.set(key, own);
      continue;
    }
    const reused = free.get(size)?.pop();
    blocks.set(key, { offset: reused ?? end, size });
    if (reused === undefined) end += size;
  }
  for (const [key, block] of previous.blocks) {
    if (blocks.get(key)?.offset === block.offset) continue;
    free.set(block.size, [...(free.get(block.size) ?? []), block.offset]);
  }
  return { blocks, free, end };
}

export function blockSize(slots: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(slots, 1)));
}
