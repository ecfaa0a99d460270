/** Where the body of a message ends (RFC 9112 section 6). Two ways to say it in one message are always refused. */
import { Field, listItems, valuesOf, type WithFields } from "./http1-fields.ts";
import { refuse, type Refusal } from "./http1-head.ts";

export type Framing =
  | { readonly kind: "none" }
  | { readonly kind: "length"; readonly length: number }
  | { readonly kind: "chunked" }
  /** Only of answers: the body ends with the connection. */
  | { readonly kind: "close" };

const none: Framing = { kind: "none" };
const chunked: Framing = { kind: "chunked" };
const close: Framing = { kind: "close" };

/** Framing of a request. `minorVersion` is the one it was sent with. */
export function requestFraming(head: WithFields, minorVersion: number): Framing | Refusal {
  const declared = declaredFraming(head, minorVersion);
  return declared ?? none;
}

/** Framing of an answer to `method`. `contentLength` of a bodiless answer (HEAD, 304) is not read here. */
export function responseFraming(
  head: WithFields,
  minorVersion: number,
  status: number,
  method: string,
): Framing | Refusal {
  const declared = declaredFraming(head, minorVersion);
  if (declared?.kind === "refusal") return declared;
  if (method === "HEAD" || status < 200 || status === 204 || status === 304) return none;
  return declared ?? close;
}

function declaredFraming(head: WithFields, minorVersion: number): Framing | Refusal | undefined {
  let codings = 0;
  let lengths = 0;
  for (let i = 0; i < head.fields.count; i++) {
    const id = head.fields.ids[i];
    if (id === Field.transferEncoding) codings++;
    else if (id === Field.contentLength) lengths++;
  }
  if (codings === 0 && lengths === 0) return undefined;
  if (codings > 0 && lengths > 0) return refuse(400, "both Transfer-Encoding and Content-Length are given");
  if (codings === 0) return contentLength(valuesOf(head, Field.contentLength));
  // A sender of HTTP/1.0 does not know chunks; its framing is faulty (RFC 9112 section 6.1).
  if (minorVersion === 0) return refuse(400, "Transfer-Encoding is given in an HTTP/1.0 message");
  return transferEncoding(valuesOf(head, Field.transferEncoding));
}

/** Repeated equal lengths count once; anything but decimal digits is refused (RFC 9110 section 8.6). */
function contentLength(values: readonly string[]): Framing | Refusal {
  let length: number | undefined;
  for (const value of values) {
    if (!/^[0-9]{1,15}$/.test(value)) return refuse(400, "Content-Length is not a number of bytes");
    const number = Number(value);
    if (length !== undefined && length !== number)
      return refuse(400, "two different Content-Length are given");
    length = number;
  }
  return length === undefined || length === 0 ? none : { kind: "length", length };
}

/** Only `chunked`, once. A coding that we do not know is 501, a wrong order 400 (RFC 9112 sections 6.1 and 6.3). */
function transferEncoding(values: readonly string[]): Framing | Refusal {
  const codings = values.flatMap(listItems);
  if (codings.length === 1 && codings[0] === "chunked") return chunked;
  const chunks = codings.filter((coding) => coding === "chunked").length;
  if (chunks !== 1 || codings.at(-1) !== "chunked") {
    if (chunks === 0 && codings.length > 0 && codings.every((coding) => /^[a-z0-9-]+$/.test(coding))) {
      return refuse(501, "the transfer coding is not supported");
    }
    return refuse(400, "Transfer-Encoding does not end in one chunked");
  }
  return refuse(501, "the transfer coding is not supported");
}
