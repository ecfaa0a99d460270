/** The head of an answer (RFC 9112 section 4). Refusals mean that the sender's answer cannot be used. */
import { connectionOptions, type ConnectionOptions, type FieldTable } from "./http1-fields.ts";
import { HeadReader, refuse, type HeadGrammar, type HeadLimits, type Refusal } from "./http1-head.ts";

export interface ResponseHead {
  readonly kind: "response";
  readonly minorVersion: number;
  /** 100 to 599. */
  readonly status: number;
  readonly reason: string;
  readonly connection: ConnectionOptions;
  readonly bytes: Buffer;
  /** Valid until the reader starts the next head. */
  readonly fields: FieldTable;
}

interface StatusLine {
  readonly minorVersion: number;
  readonly status: number;
  readonly reason: string;
}

const grammar: HeadGrammar<StatusLine, ResponseHead> = {
  lineTooLong: refuse(502, "the status line is too long"),
  headTooLarge: refuse(502, "the head of the answer is too large"),
  start: statusLine,
  finish: (line, bytes, fields) => ({
    kind: "response",
    ...line,
    connection: connectionOptions({ bytes, fields }),
    bytes,
    fields,
  }),
};

export function createResponseReader(limits: HeadLimits): HeadReader<StatusLine, ResponseHead> {
  return new HeadReader(grammar, limits);
}

/** `HTTP/1.x SP status [SP reason]`; the space before an empty reason may be missing, as many servers leave it out. */
function statusLine(bytes: Buffer, from: number, to: number): StatusLine | Refusal {
  const match = /^HTTP\/1\.([0-9]) ([1-5][0-9]{2})(?: (.*))?$/.exec(bytes.toString("latin1", from, to));
  if (match === null) return refuse(502, "the status line is not valid");
  return { minorVersion: match[1] === "0" ? 0 : 1, status: Number(match[2]), reason: match[3] ?? "" };
}
