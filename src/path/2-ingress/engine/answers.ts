/** Answers that the engine gives itself: short, plain, and saying why, without names or addresses of the inside. */
import { STATUS_CODES } from "#lib/http";
import { connectionField } from "./forward-response.ts";

export interface OwnAnswer {
  readonly status: number;
  /** One sentence for the client. Empty: an answer without a body. */
  readonly reason: string;
  readonly requestId?: string;
  readonly method?: string;
  readonly minorVersion?: number;
  readonly keepAlive: boolean;
  readonly date: Date;
}

/** The whole answer, head and body. */
export function ownAnswer(answer: OwnAnswer): string {
  const phrase = STATUS_CODES[answer.status] ?? "Unknown";
  const id = answer.requestId === undefined ? "" : `request id: ${answer.requestId}\n`;
  const body = answer.reason === "" ? "" : `${answer.status} ${phrase}: ${answer.reason}\n${id}`;
  return (
    `HTTP/1.1 ${answer.status} ${phrase}\r\n` +
    `Date: ${answer.date.toUTCString()}\r\n` +
    "Server: inroad\r\n" +
    (body === "" ? "" : "Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n") +
    `Content-Length: ${Buffer.byteLength(body, "latin1")}\r\n` +
    (answer.requestId === undefined ? "" : `X-Request-ID: ${answer.requestId}\r\n`) +
    connectionField({ minorVersion: answer.minorVersion ?? 1 }, answer.keepAlive) +
    "\r\n" +
    (answer.method === "HEAD" ? "" : body)
  );
}
