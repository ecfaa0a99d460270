/**
 * Reads the head of an HTTP/1 message: start line, field lines, empty line (RFC 9112 section 2.1).
 *
 * Strict where leniency lets two parsers disagree: lines end in CRLF only, no line folding, no white space around field
 * names, no control bytes. Every decision depends only on the bytes so far, so any split of the input gives the same result.
 */
import { COLON, CR, HTAB, LF, SP, TEXT, TOKEN } from "./http1-chars.ts";
import { addField, createFieldTable, type FieldTable } from "./http1-fields.ts";

export interface HeadLimits {
  /** Bytes of the whole head, the empty line included. */
  readonly headBytes: number;
  /** Bytes of the start line, without its line end. */
  readonly startLineBytes: number;
  readonly fields: number;
}

export const defaultHeadLimits: HeadLimits = { headBytes: 16_384, startLineBytes: 8_192, fields: 100 };

/** A message that is not accepted: the status that answers it, and why, in words for its sender. */
export interface Refusal {
  readonly kind: "refusal";
  readonly status: number;
  readonly reason: string;
}

export function refuse(status: number, reason: string): Refusal {
  return { kind: "refusal", status, reason };
}

/** How a kind of message reads its start line and judges the whole head. */
export interface HeadGrammar<Start extends object, Head> {
  readonly lineTooLong: Refusal;
  readonly headTooLarge: Refusal;
  start(bytes: Buffer, from: number, to: number): Start | Refusal;
  finish(start: Start, bytes: Buffer, fields: FieldTable): Head | Refusal;
}

const State = {
  before: 0,
  beforeLF: 1,
  start: 2,
  startLF: 3,
  line: 4,
  name: 5,
  ows: 6,
  value: 7,
  valueLF: 8,
  endLF: 9,
} as const;
const nothing = Buffer.alloc(0);

/** Reads one head after another from a stream of bytes. */
export class HeadReader<Start extends object, Head> {
  /** The bytes behind the head that `push` returned last. */
  rest: Buffer = nothing;
  readonly #grammar: HeadGrammar<Start, Head>;
  readonly #limits: HeadLimits;
  readonly #fields = createFieldTable();
  readonly #at = { nameStart: 0, nameEnd: 0, valueStart: 0, valueEnd: 0 };
  #bytes: Buffer = nothing;
  #state: number = State.before;
  #pos = 0;
  #from = 0;
  #start: Start | undefined;

  constructor(grammar: HeadGrammar<Start, Head>, limits: HeadLimits) {
    this.#grammar = grammar;
    this.#limits = limits;
  }

  /** Whether part of a head has been read. */
  get started(): boolean {
    return this.#pos > 0;
  }

  /** Adds bytes. Returns the head when it is complete, a refusal (the stream is then unusable), or undefined: more is needed. */
  push(chunk: Buffer): Head | Refusal | undefined {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    const refusal = this.#scan();
    if (refusal !== undefined) return refusal;
    if (this.#start === undefined || this.#state !== State.before) return undefined;
    const bytes = this.#bytes;
    const result = this.#grammar.finish(this.#start, bytes, this.#fields);
    this.rest = bytes.subarray(this.#pos);
    this.#bytes = nothing;
    this.#pos = 0;
    this.#start = undefined;
    return result;
  }

  /** Runs the state machine up to the end of a head or of the bytes at hand; `State.before` with a start line means complete. */
  #scan(): Refusal | undefined {
    if (this.#state === State.before && this.#start === undefined) this.#fields.count = 0;
    const bytes = this.#bytes;
    const limit = this.#limits.headBytes;
    const end = Math.min(bytes.length, limit);
    const at = this.#at;
    let pos = this.#pos;
    let state = this.#state;
    let refusal: Refusal | undefined;
    scanning: while (pos < end) {
      switch (state) {
        case State.before:
          // One empty line before a request is ignored (RFC 9112 section 2.2).
          state = bytes[pos] === CR && pos === 0 ? State.beforeLF : State.start;
          if (state === State.beforeLF) pos++;
          this.#from = pos;
          break;
        case State.beforeLF:
          if (bytes[pos] !== LF) {
            refusal = refuse(400, "a line does not end in CRLF");
            break scanning;
          }
          pos++;
          this.#from = pos;
          state = State.start;
          break;
        case State.start: {
          const lineEnd = Math.min(end, this.#from + this.#limits.startLineBytes + 1);
          while (pos < lineEnd && TEXT[bytes[pos] ?? 0] === 1) pos++;
          if (pos - this.#from > this.#limits.startLineBytes) {
            refusal = this.#grammar.lineTooLong;
            break scanning;
          }
          if (pos === end) break scanning;
          if (bytes[pos] !== CR) {
            refusal = badByte(bytes[pos]);
            break scanning;
          }
          pos++;
          state = State.startLF;
          break;
        }
        case State.startLF: {
          if (bytes[pos] !== LF) {
            refusal = refuse(400, "a line does not end in CRLF");
            break scanning;
          }
          const start = this.#grammar.start(bytes, this.#from, pos - 1);
          if ("kind" in start && start.kind === "refusal") {
            refusal = start;
            break scanning;
          }
          this.#start = start as Start;
          pos++;
          state = State.line;
          break;
        }
        case State.line:
          if (bytes[pos] === CR) {
            pos++;
            state = State.endLF;
            break;
          }
          if (this.#fields.count === this.#limits.fields) {
            refusal = refuse(431, "too many header fields");
            break scanning;
          }
          at.nameStart = pos;
          state = State.name;
          break;
        case State.name: {
          while (pos < end && TOKEN[bytes[pos] ?? 0] === 1) pos++;
          if (pos === end) break scanning;
          if (bytes[pos] !== COLON || pos === at.nameStart) {
            refusal = badName(bytes[pos], pos === at.nameStart);
            break scanning;
          }
          at.nameEnd = pos;
          pos++;
          state = State.ows;
          break;
        }
        case State.ows:
          while (pos < end && (bytes[pos] === SP || bytes[pos] === HTAB)) pos++;
          if (pos === end) break scanning;
          at.valueStart = pos;
          state = State.value;
          break;
        case State.value:
          while (pos < end && TEXT[bytes[pos] ?? 0] === 1) pos++;
          if (pos === end) break scanning;
          if (bytes[pos] !== CR) {
            refusal = badByte(bytes[pos]);
            break scanning;
          }
          at.valueEnd = pos;
          while (at.valueEnd > at.valueStart && isBlank(bytes[at.valueEnd - 1])) at.valueEnd--;
          pos++;
          state = State.valueLF;
          break;
        case State.valueLF:
          if (bytes[pos] !== LF) {
            refusal = refuse(400, "a line does not end in CRLF");
            break scanning;
          }
          addField(this.#fields, bytes, at);
          pos++;
          state = State.line;
          break;
        default:
          if (bytes[pos] !== LF) {
            refusal = refuse(400, "a line does not end in CRLF");
            break scanning;
          }
          pos++;
          state = State.before;
          break scanning;
      }
    }
    this.#pos = pos;
    this.#state = state;
    const complete = state === State.before && this.#start !== undefined;
    if (refusal === undefined && !complete && pos >= limit) return this.#grammar.headTooLarge;
    return refusal;
  }
}

function isBlank(byte: number | undefined): boolean {
  return byte === SP || byte === HTAB;
}

function badByte(byte: number | undefined): Refusal {
  if (byte === LF) return refuse(400, "a line does not end in CRLF");
  return refuse(400, "a control byte stands in the head");
}

function badName(byte: number | undefined, atStart: boolean): Refusal {
  if (byte === LF) return refuse(400, "a line does not end in CRLF");
  if (byte === SP || byte === HTAB) {
    return refuse(400, atStart ? "a header line is folded" : "white space stands before a colon");
  }
  return refuse(400, "a header field has no valid name");
}
