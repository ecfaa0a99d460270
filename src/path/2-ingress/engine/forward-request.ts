/** The head that the backend gets: the client's, without what was meant for us, with what we know about the client. */
import { Field, listItems, valuesOf } from "#wire/http1-fields";
import type { RequestHead } from "#wire/http1-request";
import type { Peer } from "./context.ts";
import { copyFields, dropping } from "./copy-fields.ts";

const dropped = dropping(
  Field.host,
  Field.connection,
  Field.contentLength,
  Field.transferEncoding,
  Field.upgrade,
  Field.requestId,
  Field.hopByHop,
  Field.forwarded,
  Field.confusable,
);
const droppedWithExpect = dropping(...[...dropped.keys()].filter((id) => dropped[id] === 1), Field.expect);

export function forwardedRequestHead(head: RequestHead, peer: Peer, requestId: string): string {
  const websocket = asksForWebSocket(head);
  const fields = copyFields(
    head,
    head.expect === undefined ? droppedWithExpect : dropped,
    head.connection.names,
  );
  return (
    `${head.method} ${head.target} HTTP/1.1\r\nHost: ${head.authority}\r\n${fields}` +
    forwardingFields(head, peer, requestId) +
    (websocket ? "Connection: Upgrade\r\nUpgrade: websocket\r\n" : "Connection: close\r\n") +
    framingField(head) +
    "\r\n"
  );
}

/** Names and values that say where the request came from. Whatever the client said under these names is not passed on. */
export function forwardingHeaders(request: {
  readonly peerAddress: string;
  readonly localPort: number;
  readonly secure: boolean;
  readonly authority: string;
  readonly requestId: string;
}): readonly (readonly [name: string, value: string])[] {
  return [
    ["X-Forwarded-For", request.peerAddress],
    ["X-Forwarded-Proto", request.secure ? "https" : "http"],
    ["X-Forwarded-Host", request.authority],
    ["X-Forwarded-Port", String(request.localPort)],
    ["X-Real-IP", request.peerAddress],
    ["X-Request-ID", request.requestId],
  ];
}

function forwardingFields(head: RequestHead, peer: Peer, requestId: string): string {
  let lines = "";
  const request = { peerAddress: peer.address, localPort: peer.localPort, secure: peer.secure, requestId };
  for (const [name, value] of forwardingHeaders({ ...request, authority: head.authority }))
    lines += `${name}: ${value}\r\n`;
  return lines;
}

function framingField(head: RequestHead): string {
  if (head.framing.kind === "chunked") return "Transfer-Encoding: chunked\r\n";
  if (head.framing.kind === "length") return `Content-Length: ${head.framing.length}\r\n`;
  // A method that usually has a body says that it has none (RFC 9110 section 8.6).
  return head.method === "POST" || head.method === "PUT" || head.method === "PATCH"
    ? "Content-Length: 0\r\n"
    : "";
}

/**
 * Whether the connection is to become a WebSocket (RFC 6455 section 4.1). Other upgrades are not passed on: after `h2c` the
 * requests inside would reach the backend unread.
 */
export function asksForWebSocket(head: RequestHead): boolean {
  if (head.method !== "GET" || head.minorVersion === 0 || !head.connection.upgrade) return false;
  if (head.framing.kind !== "none") return false;
  const protocols = valuesOf(head, Field.upgrade).flatMap(listItems);
  return protocols.length === 1 && protocols[0] === "websocket";
}

/** The client's X-Request-ID if there is one that is safe to keep in logs and headers; undefined: make a new one. */
export function keptRequestId(head: RequestHead): string | undefined {
  const values = valuesOf(head, Field.requestId);
  const [value] = values;
  return values.length === 1 && value !== undefined && /^[A-Za-z0-9._:=+/@-]{1,128}$/.test(value)
    ? value
    : undefined;
}
