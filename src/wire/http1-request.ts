/** The head of a request (RFC 9112 section 3) and all that it says about its message. */
import { parseAuthority, routingHost } from "./http1-authority.ts";
import { TARGET, TOKEN } from "./http1-chars.ts";
import {
  connectionOptions,
  Field,
  fieldValue,
  type ConnectionOptions,
  type FieldTable,
} from "./http1-fields.ts";
import { requestFraming, type Framing } from "./http1-framing.ts";
import { HeadReader, refuse, type HeadGrammar, type HeadLimits, type Refusal } from "./http1-head.ts";

export interface RequestHead {
  readonly kind: "request";
  readonly method: string;
  /** Of the version it is treated as: 0 or 1. */
  readonly minorVersion: number;
  /** Path with query for the next hop: the target in origin form; `*` for `OPTIONS *`. */
  readonly target: string;
  /** The target without its query. */
  readonly path: string;
  /** Host and port as the client meant them: of an absolute target, else of the Host field; may be empty. */
  readonly authority: string;
  /** The authority as routing compares it: lower case, without port and final dot. */
  readonly host: string;
  readonly framing: Framing;
  readonly connection: ConnectionOptions;
  /** Whether the client can send another request on this connection (RFC 9112 section 9.3). */
  readonly keepAlive: boolean;
  /** Values of the Expect field, lower case; undefined without one or from an HTTP/1.0 client. */
  readonly expect: string | undefined;
  readonly bytes: Buffer;
  /** Valid until the reader starts the next head. */
  readonly fields: FieldTable;
}

interface RequestLine {
  readonly method: string;
  readonly target: string;
  readonly minorVersion: number;
}

const grammar: HeadGrammar<RequestLine, RequestHead> = {
  lineTooLong: refuse(414, "the request line is too long"),
  headTooLarge: refuse(431, "the request head is too large"),
  start: requestLine,
  finish: requestHead,
};

export function createRequestReader(limits: HeadLimits): HeadReader<RequestLine, RequestHead> {
  return new HeadReader(grammar, limits);
}

/** `method SP target SP HTTP/1.x`, single spaces, no other white space (RFC 9112 section 3). */
function requestLine(bytes: Buffer, from: number, to: number): RequestLine | Refusal {
  let pos = from;
  while (pos < to && TOKEN[bytes[pos] ?? 0] === 1) pos++;
  if (pos === from || bytes[pos] !== 32) return refuse(400, "the request line has no valid method");
  const method = bytes.toString("latin1", from, pos);
  const targetStart = ++pos;
  while (pos < to && TARGET[bytes[pos] ?? 0] === 1) pos++;
  if (pos === targetStart || bytes[pos] !== 32 || pos >= to)
    return refuse(400, "the request line has no valid target");
  const target = bytes.toString("latin1", targetStart, pos);
  const version = bytes.toString("latin1", pos + 1, to);
  if (version === "HTTP/1.1") return { method, target, minorVersion: 1 };
  if (version === "HTTP/1.0") return { method, target, minorVersion: 0 };
  const parsed = /^HTTP\/([0-9])\.[0-9]$/.exec(version);
  if (parsed === null) return refuse(400, "the request line has no valid version");
  // A later minor version is treated as the one we know (RFC 9110 section 2.5).
  return parsed[1] === "1"
    ? { method, target, minorVersion: 1 }
    : refuse(505, "only HTTP/1.0 and HTTP/1.1 are served");
}

function requestHead(line: RequestLine, bytes: Buffer, fields: FieldTable): RequestHead | Refusal {
  const { method, minorVersion } = line;
  if (method === "CONNECT") return refuse(501, "CONNECT is not served here");
  const hostField = onlyHost(bytes, fields, minorVersion);
  if (typeof hostField !== "string") return hostField;
  const target = readTarget(line, hostField);
  if ("kind" in target) return target;
  const framing = requestFraming({ bytes, fields }, minorVersion);
  if (framing.kind === "refusal") return framing;
  const connection = connectionOptions({ bytes, fields });
  const question = target.target.indexOf("?");
  return {
    kind: "request",
    method,
    minorVersion,
    target: target.target,
    path: question < 0 ? target.target : target.target.slice(0, question),
    authority: target.authority,
    host: routingHost(target.authority),
    framing,
    connection,
    keepAlive: minorVersion === 1 ? !connection.close : connection.keepAlive && !connection.close,
    expect: minorVersion === 1 ? firstValue(bytes, fields, Field.expect)?.toLowerCase() : undefined,
    bytes,
    fields,
  };
}

/** Exactly one valid Host in HTTP/1.1, at most one in HTTP/1.0 (RFC 9112 section 3.2). Empty is valid. */
function onlyHost(bytes: Buffer, fields: FieldTable, minorVersion: number): string | Refusal {
  let host: string | undefined;
  for (let i = 0; i < fields.count; i++) {
    if (fields.ids[i] !== Field.host) continue;
    if (host !== undefined) return refuse(400, "more than one Host is given");
    host = fieldValue({ bytes, fields }, i);
  }
  if (host === undefined) return minorVersion === 0 ? "" : refuse(400, "no Host is given");
  if (host !== "" && parseAuthority(host) === undefined) return refuse(400, "Host is not valid");
  return host;
}

/** Origin, absolute or asterisk form; the authority of an absolute target replaces Host (RFC 9112 section 3.2.2). */
function readTarget(line: RequestLine, hostField: string): { target: string; authority: string } | Refusal {
  if (line.target.startsWith("/")) return { target: line.target, authority: hostField };
  if (line.target === "*") {
    if (line.method !== "OPTIONS") return refuse(400, "the target * is for OPTIONS only");
    return { target: "*", authority: hostField };
  }
  const absolute = /^https?:\/\/([^/?]+)([/?].*)?$/i.exec(line.target);
  const authority = absolute?.[1];
  if (authority === undefined || parseAuthority(authority) === undefined)
    return refuse(400, "the target is not valid");
  const rest = absolute?.[2];
  if (rest === undefined) return { target: line.method === "OPTIONS" ? "*" : "/", authority };
  return { target: rest.startsWith("?") ? `/${rest}` : rest, authority };
}

function firstValue(bytes: Buffer, fields: FieldTable, id: number): string | undefined {
  for (let i = 0; i < fields.count; i++) if (fields.ids[i] === id) return fieldValue({ bytes, fields }, i);
  return undefined;
}
