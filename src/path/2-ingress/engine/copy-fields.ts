/** Copies the fields of a head that may be passed on, in long slices, without looking into them. */
import { fieldName, type WithFields } from "#wire/http1-fields";

/**
 * The fields as lines ending in CRLF. `dropped[id]` is 1 for the known fields to leave out; `named` are lower-case names
 * that the sender declared to be for its own connection only.
 */
export function copyFields(head: WithFields, dropped: Uint8Array, named: readonly string[]): string {
  const { count, ids, offsets } = head.fields;
  let lines = "";
  let runStart = -1;
  let runEnd = 0;
  for (let i = 0; i < count; i++) {
    const drop =
      dropped[ids[i] ?? 0] === 1 || (named.length > 0 && named.includes(fieldName(head, i).toLowerCase()));
    if (!drop) {
      if (runStart < 0) runStart = offsets[i * 4] ?? 0;
      runEnd = offsets[i * 4 + 3] ?? 0;
    } else if (runStart >= 0) {
      lines += `${head.bytes.toString("latin1", runStart, runEnd)}\r\n`;
      runStart = -1;
    }
  }
  return runStart < 0 ? lines : `${lines}${head.bytes.toString("latin1", runStart, runEnd)}\r\n`;
}

/** A table for `copyFields`. */
export function dropping(...ids: readonly number[]): Uint8Array {
  const table = new Uint8Array(16);
  for (const id of ids) table[id] = 1;
  return table;
}
