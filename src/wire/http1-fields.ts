/** The field section of an HTTP/1 message as a table of offsets into the bytes it came in; nothing is copied. */
import { FOLD, UNDERSCORE } from "./http1-chars.ts";

/** The fields that an intermediary acts upon. All others are `other`: passed on unread. */
export const Field = {
  other: 0,
  host: 1,
  connection: 2,
  contentLength: 3,
  transferEncoding: 4,
  upgrade: 5,
  expect: 6,
  /** `Date`. */
  date: 7,
  requestId: 8,
  /** Of one connection only, never passed on (RFC 9110 section 7.6.1): Keep-Alive, TE, Proxy-Connection ... */
  hopByHop: 9,
  /** What a client may not say of itself: X-Forwarded-*, X-Real-IP, Forwarded. */
  forwarded: 10,
  /** One of the above written with `_`; some backends read it as the same name, so it is never passed on. */
  confusable: 11,
} as const;

const names: readonly (readonly [string, number])[] = [
  ["host", Field.host],
  ["connection", Field.connection],
  ["content-length", Field.contentLength],
  ["transfer-encoding", Field.transferEncoding],
  ["upgrade", Field.upgrade],
  ["expect", Field.expect],
  ["date", Field.date],
  ["x-request-id", Field.requestId],
  ["keep-alive", Field.hopByHop],
  ["te", Field.hopByHop],
  ["proxy-connection", Field.hopByHop],
  ["proxy-authenticate", Field.hopByHop],
  ["proxy-authorization", Field.hopByHop],
  // Becomes HTTP_PROXY in CGI programs and is never sent by honest clients.
  ["proxy", Field.hopByHop],
  ["x-real-ip", Field.forwarded],
  ["forwarded", Field.forwarded],
];

const forwardedPrefix = Buffer.from("x-forwarded-");

const byLength: readonly (readonly { name: Buffer; id: number }[])[] = Array.from(
  { length: 20 },
  (_, length) =>
    names.filter(([name]) => name.length === length).map(([name, id]) => ({ name: Buffer.from(name), id })),
);

/** Offsets of the fields of one head. Reused by the reader that owns it: valid until that reader starts another head. */
export interface FieldTable {
  count: number;
  /** Per field: name start, name end, value start, value end. */
  offsets: Int32Array;
  /** Per field: one of `Field`. */
  ids: Uint8Array;
}

export function createFieldTable(): FieldTable {
  return { count: 0, offsets: new Int32Array(4 * 24), ids: new Uint8Array(24) };
}

/** Notes a field. The table grows; the caller bounds the number of fields. */
export function addField(table: FieldTable, bytes: Buffer, position: FieldPosition): void {
  const index = table.count;
  if (index === table.ids.length) grow(table);
  const at = index * 4;
  table.offsets[at] = position.nameStart;
  table.offsets[at + 1] = position.nameEnd;
  table.offsets[at + 2] = position.valueStart;
  table.offsets[at + 3] = position.valueEnd;
  table.ids[index] = fieldId(bytes, position.nameStart, position.nameEnd);
  table.count = index + 1;
}

export interface FieldPosition {
  nameStart: number;
  nameEnd: number;
  valueStart: number;
  valueEnd: number;
}

function grow(table: FieldTable): void {
  const offsets = new Int32Array(table.offsets.length * 2);
  offsets.set(table.offsets);
  table.offsets = offsets;
  const ids = new Uint8Array(table.ids.length * 2);
  ids.set(table.ids);
  table.ids = ids;
}

function fieldId(bytes: Buffer, from: number, to: number): number {
  const length = to - from;
  if (length > forwardedPrefix.length && folded(bytes, from, forwardedPrefix)) {
    return hyphensOnly(bytes, from, to) ? Field.forwarded : Field.confusable;
  }
  for (const known of byLength[length] ?? []) {
    if (folded(bytes, from, known.name)) return hyphensOnly(bytes, from, to) ? known.id : Field.confusable;
  }
  return Field.other;
}

function folded(bytes: Buffer, from: number, name: Buffer): boolean {
  for (let i = 0; i < name.length; i++) {
    if (FOLD[bytes[from + i] ?? 0] !== name[i]) return false;
  }
  return true;
}

function hyphensOnly(bytes: Buffer, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (bytes[i] === UNDERSCORE) return false;
  return true;
}

/** A head as far as its fields are concerned. */
export interface WithFields {
  readonly bytes: Buffer;
  readonly fields: FieldTable;
}

/** The value of the field at `index`, without the white space around it; bytes above 127 as Latin-1. */
export function fieldValue(head: WithFields, index: number): string {
  const { offsets } = head.fields;
  return head.bytes.toString("latin1", offsets[index * 4 + 2], offsets[index * 4 + 3]);
}

/** The name of the field at `index`, as sent. */
export function fieldName(head: WithFields, index: number): string {
  const { offsets } = head.fields;
  return head.bytes.toString("latin1", offsets[index * 4], offsets[index * 4 + 1]);
}

/** Values of all lines of one known field, in the order sent. */
export function valuesOf(head: WithFields, id: number): string[] {
  const values: string[] = [];
  for (let i = 0; i < head.fields.count; i++) if (head.fields.ids[i] === id) values.push(fieldValue(head, i));
  return values;
}

/** What the Connection field says (RFC 9110 section 7.6.1). */
export interface ConnectionOptions {
  readonly close: boolean;
  readonly keepAlive: boolean;
  readonly upgrade: boolean;
  /** Lower-case names of the fields that are for this connection only. */
  readonly names: readonly string[];
}

const noOptions: ConnectionOptions = { close: false, keepAlive: false, upgrade: false, names: [] };
const knownOptions = new Set(["close", "keep-alive", "upgrade"]);

/** What nearly all messages say is not read token by token. */
const usual = new Map(
  ["close", "keep-alive", "Keep-Alive", "Close"].map((value) => [value, readOptions([value])]),
);

export function connectionOptions(head: WithFields): ConnectionOptions {
  const values = valuesOf(head, Field.connection);
  if (values.length === 0) return noOptions;
  const known = values.length === 1 ? usual.get(values[0] ?? "") : undefined;
  return known ?? readOptions(values);
}

function readOptions(values: readonly string[]): ConnectionOptions {
  const tokens = values.flatMap(listItems);
  return {
    close: tokens.includes("close"),
    keepAlive: tokens.includes("keep-alive"),
    upgrade: tokens.includes("upgrade"),
    names: tokens.filter((token) => !knownOptions.has(token)),
  };
}

/** The items of a comma-separated list, lower case, without empty ones (RFC 9110 section 5.6.1). */
export function listItems(value: string): string[] {
  return value
    .toLowerCase()
    .split(",")
    .map((item) => item.replace(/^[ \t]+|[ \t]+$/g, ""))
    .filter((item) => item !== "");
}
