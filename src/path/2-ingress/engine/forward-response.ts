/** The head that the client gets: the backend's, framed anew for the client's connection. */
import { Field, listItems, valuesOf } from "#wire/http1-fields";
import type { Framing } from "#wire/http1-framing";
import type { RequestHead } from "#wire/http1-request";
import type { ResponseHead } from "#wire/http1-response";
import { copyFields, dropping } from "./copy-fields.ts";

const dropped = dropping(
  Field.connection,
  Field.contentLength,
  Field.transferEncoding,
  Field.upgrade,
  Field.hopByHop,
);

/** How the body goes to the client: `raw` means as it is, framed by its length, by the connection's end or not at all. */
export interface Delivery {
  readonly head: string;
  readonly body: "none" | "raw" | "chunked";
  readonly keepAlive: boolean;
}

/**
 * Head and framing of a final answer. `mayKeep`: whether we want to keep the client's connection; it is closed all the same
 * when only its end can end the body (HTTP/1.0).
 */
export function deliver(
  request: RequestHead,
  response: ResponseHead,
  framing: Framing,
  mayKeep: boolean,
  now: () => Date,
): Delivery {
  const hasBody = !isBodiless(request.method, response.status);
  const unsized = hasBody && (framing.kind === "chunked" || framing.kind === "close");
  const chunked = unsized && request.minorVersion === 1;
  const keepAlive = mayKeep && request.keepAlive && (!unsized || chunked);
  const head =
    startOfHead(response) +
    (hasDate(response) ? "" : `Date: ${now().toUTCString()}\r\n`) +
    framingField(request.method, response, framing, chunked) +
    connectionField(request, keepAlive) +
    "\r\n";
  return { head, keepAlive, body: framing.kind === "none" ? "none" : chunked ? "chunked" : "raw" };
}

/** An interim answer (RFC 9110 section 15.2), as it is. */
export function interimHead(response: ResponseHead): string {
  return `${startOfHead(response)}\r\n`;
}

/** 101: both sides now speak WebSocket. */
export function switchingHead(response: ResponseHead): string {
  return `${startOfHead(response)}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
}

/** Whether a 101 answers the only upgrade that we ask for. */
export function switchesToWebSocket(response: ResponseHead): boolean {
  const protocols = valuesOf(response, Field.upgrade).flatMap(listItems);
  return protocols.length === 1 && protocols[0] === "websocket" && response.connection.upgrade;
}

export function connectionField(request: { minorVersion: number }, keepAlive: boolean): string {
  if (!keepAlive) return "Connection: close\r\n";
  return request.minorVersion === 0 ? "Connection: keep-alive\r\n" : "";
}

function startOfHead(response: ResponseHead): string {
  const fields = copyFields(response, dropped, response.connection.names);
  return `HTTP/1.1 ${response.status} ${response.reason}\r\n${fields}`;
}

function isBodiless(method: string, status: number): boolean {
  return method === "HEAD" || status === 204 || status === 304;
}

/** What a HEAD or a 304 says about the length is passed on; it is not framing (RFC 9110 section 8.6). */
function framingField(method: string, response: ResponseHead, framing: Framing, chunked: boolean): string {
  if (isBodiless(method, response.status)) {
    const [length] = response.status === 204 ? [] : valuesOf(response, Field.contentLength);
    return length === undefined ? "" : `Content-Length: ${length}\r\n`;
  }
  if (framing.kind === "none") return "Content-Length: 0\r\n";
  if (framing.kind === "length") return `Content-Length: ${framing.length}\r\n`;
  return chunked ? "Transfer-Encoding: chunked\r\n" : "";
}

function hasDate(response: ResponseHead): boolean {
  return response.fields.ids.subarray(0, response.fields.count).includes(Field.date);
}
