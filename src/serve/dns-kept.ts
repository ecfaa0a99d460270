/**
 * Whole answers by the bytes of their queries. Equal queries get equal answers but for the id, so a repeated one needs no
 * decoding, no look-up and no encoding. Whoever answers says which answers may be kept, and drops them all at every change.
 */

import type { Asked } from "./dns-answer.ts";

/** Some hundred bytes each. */
const MAX_KEPT = 65_536;
/** Bytes. The longest name makes 271; who pads queries beyond that must not fill the memory with them. */
const MAX_QUERY = 320;
/** A full store takes nothing in until it is emptied, so that a flood of odd names does not keep it busy; not for longer than this. */
const MAX_AGE_MS = 10_000;

interface KeptAnswer {
  readonly reply: Uint8Array;
  readonly asked: Asked;
}

export interface KeptAnswers {
  find(query: Uint8Array): KeptAnswer | undefined;
  /** Keeps an answer, which must not be changed by anybody. */
  keep(query: Uint8Array, answer: KeptAnswer): void;
  drop(): void;
}

export function createKeptAnswers(
  limit: number = MAX_KEPT,
  now: () => number = () => performance.now(),
): KeptAnswers {
  const answers = new Map<string, KeptAnswer>();
  let since = now();
  const drop = (): void => {
    answers.clear();
    since = now();
  };
  return {
    find: (query) => answers.get(keyOf(query)),
    keep(query, answer) {
      if (query.length > MAX_QUERY) return;
      if (answers.size >= limit) {
        if (now() - since < MAX_AGE_MS) return;
        drop();
      }
      answers.set(keyOf(query), answer);
    },
    drop,
  };
}

/** All of the query but its id. */
function keyOf(query: Uint8Array): string {
  return Buffer.from(query.buffer, query.byteOffset + 2, query.byteLength - 2).toString("latin1");
}
