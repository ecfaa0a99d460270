/**
 * The PROXY protocol (HAProxy's "The PROXY protocol, versions 1 & 2"): what a proxy says before the first byte of a connection
 * about whose it is. Pure.
 */
import { addressNumber, familyOf, isIPv4, isIPv6, numberAddress } from "#lib/ip";

export type ProxyVersion = "v1" | "v2";

interface ProxyEnd {
  /** An IP literal. */
  readonly address: string;
  readonly port: number;
}

/** A TCP connection as the proxy has accepted it. */
export interface ProxiedConnection {
  readonly source: ProxyEnd;
  readonly destination: ProxyEnd;
}

/** What can be read from the bytes so far. */
export type ProxyRead =
  | { readonly kind: "more" }
  /** Without a connection the sender speaks for itself (LOCAL), or does not know (UNKNOWN): the socket's own ends count. */
  | { readonly kind: "header"; readonly length: number; readonly connection: ProxiedConnection | undefined }
  | { readonly kind: "bad"; readonly reason: string };

/** Section 2.1: the longest line, its CRLF included. */
const LONGEST_LINE = 107;
const LINE_START = Buffer.from("PROXY ");
/** Section 2.2: begins every header of version 2. */
const SIGNATURE = Buffer.from("\r\n\r\n\0\r\nQUIT\n");
const FIXED = 16;
/** Longest header of version 2 that is read: addresses and what else (TLVs) a sender may add. */
const LONGEST_BINARY = 4096;

const VERSION_2 = 0x20;
const LOCAL = 0;
const PROXY = 1;
/** Address family and transport: TCP over IPv4, TCP over IPv6. */
const TCP4 = 0x11;
const TCP6 = 0x21;

const addressBytes = { IPv4: 4, IPv6: 16 } as const;

/** The header of a connection; both ends must be of one family. */
export function encodeProxyHeader(version: ProxyVersion, connection: ProxiedConnection): Uint8Array {
  return version === "v1" ? encodeLine(connection) : encodeBinary(connection);
}

function encodeLine({ source, destination }: ProxiedConnection): Uint8Array {
  const family = familyOf(source.address) === "IPv4" ? "TCP4" : "TCP6";
  const words = ["PROXY", family, source.address, destination.address, source.port, destination.port];
  return Buffer.from(`${words.join(" ")}\r\n`, "latin1");
}

function encodeBinary({ source, destination }: ProxiedConnection): Uint8Array {
  const family = familyOf(source.address);
  const size = addressBytes[family];
  const bytes = Buffer.alloc(FIXED + 2 * size + 4);
  SIGNATURE.copy(bytes);
  bytes[12] = VERSION_2 | PROXY;
  bytes[13] = family === "IPv4" ? TCP4 : TCP6;
  bytes.writeUInt16BE(2 * size + 4, 14);
  for (const [index, { address, port }] of [source, destination].entries()) {
    const hex = addressNumber(address)
      .toString(16)
      .padStart(2 * size, "0");
    bytes.write(hex, FIXED + index * size, "hex");
    bytes.writeUInt16BE(port, FIXED + 2 * size + 2 * index);
  }
  return bytes;
}

/** Reads a header of either version from the first bytes of a connection. */
export function readProxyHeader(given: Uint8Array): ProxyRead {
  const bytes = Buffer.from(given.buffer, given.byteOffset, given.byteLength);
  if (startsLike(bytes, LINE_START)) return readLine(bytes);
  if (startsLike(bytes, SIGNATURE)) return readBinary(bytes);
  return { kind: "bad", reason: "no PROXY header" };
}

/** Whether the bytes are a part of the beginning, or begin with it. */
function startsLike(bytes: Buffer, beginning: Buffer): boolean {
  const length = Math.min(bytes.length, beginning.length);
  return bytes.subarray(0, length).equals(beginning.subarray(0, length));
}

function readLine(bytes: Buffer): ProxyRead {
  const end = bytes.subarray(0, LONGEST_LINE).indexOf("\r\n");
  if (end === -1) {
    return bytes.length < LONGEST_LINE
      ? { kind: "more" }
      : { kind: "bad", reason: `a line of more than ${LONGEST_LINE} bytes` };
  }
  const text = bytes.subarray(0, end).toString("latin1");
  const length = end + 2;
  // What follows UNKNOWN is to be ignored.
  if (text === "PROXY UNKNOWN" || text.startsWith("PROXY UNKNOWN ")) {
    return { kind: "header", length, connection: undefined };
  }
  const [, family, ...words] = text.split(" ");
  const isOfFamily = family === "TCP4" ? isIPv4 : family === "TCP6" ? isIPv6 : undefined;
  const [from = "", to = "", ...ports] = words;
  const [fromPort, toPort, more] = ports.map(portOf);
  if (isOfFamily?.(from) !== true || !isOfFamily(to) || fromPort === undefined || toPort === undefined) {
    return { kind: "bad", reason: "a line that names no TCP connection" };
  }
  if (words.length !== 4 || more !== undefined) return { kind: "bad", reason: "a line with more words" };
  const source = { address: from, port: fromPort };
  return { kind: "header", length, connection: { source, destination: { address: to, port: toPort } } };
}

/** Decimal without leading zeros, 0 to 65535. */
function portOf(text: string): number | undefined {
  return /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535 ? Number(text) : undefined;
}

function readBinary(bytes: Buffer): ProxyRead {
  if (bytes.length < FIXED) return { kind: "more" };
  const [versionAndCommand = 0, familyAndTransport = 0] = bytes.subarray(12, 14);
  const command = versionAndCommand & 0x0f;
  if ((versionAndCommand & 0xf0) !== VERSION_2 || command > PROXY) {
    return { kind: "bad", reason: `unknown version or command 0x${versionAndCommand.toString(16)}` };
  }
  const length = FIXED + bytes.readUInt16BE(14);
  if (length > LONGEST_BINARY)
    return { kind: "bad", reason: `a header of more than ${LONGEST_BINARY} bytes` };
  const family = familyAndTransport === TCP4 ? "IPv4" : familyAndTransport === TCP6 ? "IPv6" : undefined;
  const size = family === undefined ? 0 : addressBytes[family];
  if (command === PROXY && family !== undefined && length < FIXED + 2 * size + 4) {
    return { kind: "bad", reason: "a header too short for its addresses" };
  }
  if (bytes.length < length) return { kind: "more" };
  // Of families that are not supported the socket's own ends count (section 2.2).
  if (command === LOCAL || family === undefined) return { kind: "header", length, connection: undefined };
  const end = (index: number): ProxyEnd => ({
    address: numberAddress(
      BigInt(`0x${bytes.toString("hex", FIXED + index * size, FIXED + (index + 1) * size)}`),
      family,
    ),
    port: bytes.readUInt16BE(FIXED + 2 * size + 2 * index),
  });
  return { kind: "header", length, connection: { source: end(0), destination: end(1) } };
}
