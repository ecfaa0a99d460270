/** The client's side of SOCKS 5 (RFC 1928), as far as connections need it: no authentication, CONNECT only. Pure. */

/** What can be read from the bytes so far: nothing yet, a message and its length, or nonsense. */
export type SocksRead<T> =
  | { readonly kind: "more" }
  | { readonly kind: "message"; readonly length: number; readonly value: T }
  | { readonly kind: "bad"; readonly reply: SocksReply };

export interface SocksRequest {
  /** A name or an IP literal. */
  readonly host: string;
  readonly port: number;
}

/** Section 6. */
export const socksReplies = {
  succeeded: 0,
  failure: 1,
  unreachable: 4,
  refused: 5,
  expired: 6,
  commandNotSupported: 7,
  addressNotSupported: 8,
} as const;

export type SocksReply = (typeof socksReplies)[keyof typeof socksReplies];

const VERSION = 5;
const CONNECT = 1;
/** Longest request: a name of 255 bytes. */
export const longestSocksMessage = 4 + 1 + 255 + 2;

/** Section 3: the methods that a client offers. */
export function readSocksGreeting(bytes: Uint8Array): SocksRead<readonly number[]> {
  if (bytes.length > 0 && bytes[0] !== VERSION) return { kind: "bad", reply: socksReplies.failure };
  const length = 2 + (bytes[1] ?? 0);
  if (bytes.length < 2 || bytes.length < length) return { kind: "more" };
  return { kind: "message", length, value: [...bytes.subarray(2, length)] };
}

/** The answer to a greeting: no authentication, or no acceptable method. */
export function socksMethod(methods: readonly number[]): Uint8Array {
  return Uint8Array.of(VERSION, methods.includes(0) ? 0 : 0xff);
}

/** Section 4: where a client wants to be connected to. */
export function readSocksRequest(bytes: Uint8Array): SocksRead<SocksRequest> {
  const [version, command, , type, first = 0] = bytes;
  if (version !== undefined && version !== VERSION) return { kind: "bad", reply: socksReplies.failure };
  if (command !== undefined && command !== CONNECT) {
    return { kind: "bad", reply: socksReplies.commandNotSupported };
  }
  if (bytes.length < 5) return { kind: "more" };
  const isName = type === 3;
  if (type !== 1 && !isName) return { kind: "bad", reply: socksReplies.addressNotSupported };
  const from = isName ? 5 : 4;
  const end = from + (isName ? first : 4);
  if (bytes.length < end + 2) return { kind: "more" };
  const host = isName ? nameOf(bytes.subarray(from, end)) : bytes.subarray(from, end).join(".");
  const port = ((bytes[end] ?? 0) << 8) | (bytes[end + 1] ?? 0);
  if (host === undefined || port === 0) return { kind: "bad", reply: socksReplies.failure };
  return { kind: "message", length: end + 2, value: { host, port } };
}

/** Names are what DNS may be asked for; anything else is refused before it is used. */
function nameOf(bytes: Uint8Array): string | undefined {
  const text = Buffer.from(bytes).toString("latin1");
  return /^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?$/.test(text) ? text : undefined;
}

/** Section 6: the answer to a request. Our own end is nobody's business: 0.0.0.0:0. */
export function socksAnswer(reply: SocksReply): Uint8Array {
  return Uint8Array.of(VERSION, reply, 0, 1, 0, 0, 0, 0, 0, 0);
}
