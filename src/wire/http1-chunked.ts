/** The chunked transfer coding (RFC 9112 section 7.1), decoded as a stream and encoded piece by piece. */
import { CR, HEX, LF, SEMICOLON, TEXT } from "./http1-chars.ts";
import { Field } from "./http1-fields.ts";
import { HeadReader, refuse, type HeadLimits, type Refusal } from "./http1-head.ts";

export interface ChunkLimits {
  /** Bytes of chunk extensions over the whole body; their content is dropped. */
  readonly extensionBytes: number;
  readonly trailer: HeadLimits;
}

const defaultChunkLimits: ChunkLimits = {
  extensionBytes: 4_096,
  trailer: { headBytes: 8_192, startLineBytes: 2, fields: 32 },
};

const State = {
  size: 0,
  extension: 1,
  sizeLF: 2,
  data: 3,
  dataCR: 4,
  dataLF: 5,
  trailer: 6,
  done: 7,
} as const;
/** 13 hexadecimal digits stay below 2^52: sizes are exact. */
const maxSizeDigits = 13;
const startOfTrailer = Buffer.from("T\r\n");

export class ChunkedDecoder {
  /** The trailer fields that may be passed on, as lines ending in CRLF. Complete when `done`. */
  trailers = "";
  refusal: Refusal | undefined;
  readonly #limits: ChunkLimits;
  #state: number = State.size;
  #size = 0;
  #digits = 0;
  #extension = 0;
  #trailer: HeadReader<object, string> | undefined;

  constructor(limits: ChunkLimits = defaultChunkLimits) {
    this.#limits = limits;
  }

  get done(): boolean {
    return this.#state === State.done;
  }

  /** Reads from `bytes[from]`, calls `emit` with slices of data; returns the offset behind the last byte that was used. */
  read(bytes: Buffer, from: number, emit: (data: Buffer) => void): number {
    let pos = from;
    while (pos < bytes.length && this.#state !== State.done && this.refusal === undefined) {
      if (this.#state === State.data) {
        const end = Math.min(bytes.length, pos + this.#size);
        emit(pos === 0 && end === bytes.length ? bytes : bytes.subarray(pos, end));
        this.#size -= end - pos;
        pos = end;
        if (this.#size === 0) this.#state = State.dataCR;
      } else if (this.#state === State.trailer) {
        pos = this.#readTrailer(bytes, pos);
      } else {
        this.#control(bytes[pos] ?? 0);
        pos++;
      }
    }
    return pos;
  }

  /** One byte of a size line or of the line end behind the data. */
  #control(byte: number): void {
    switch (this.#state) {
      case State.size:
        this.#sizeByte(byte);
        break;
      case State.extension:
        if (byte === CR) this.#state = State.sizeLF;
        else if (TEXT[byte] !== 1) this.#fail("a chunk extension is not valid");
        else if (++this.#extension > this.#limits.extensionBytes)
          this.#fail("the chunk extensions are too large");
        break;
      case State.sizeLF:
        if (byte !== LF) this.#fail("a chunk size does not end in CRLF");
        else this.#startChunk();
        break;
      case State.dataCR:
        if (byte !== CR) this.#fail("a chunk is longer than its size says");
        else this.#state = State.dataLF;
        break;
      default:
        if (byte !== LF) this.#fail("a chunk does not end in CRLF");
        else this.#state = State.size;
    }
  }

  #sizeByte(byte: number): void {
    const digit = HEX[byte] ?? 255;
    if (digit !== 255) {
      if (++this.#digits > maxSizeDigits) this.#fail("a chunk size is too large");
      else this.#size = this.#size * 16 + digit;
    } else if (this.#digits === 0) this.#fail("a chunk has no size");
    else if (byte === SEMICOLON) this.#state = State.extension;
    else if (byte === CR) this.#state = State.sizeLF;
    else this.#fail("a chunk size is not valid");
  }

  #startChunk(): void {
    this.#digits = 0;
    this.#state = this.#size === 0 ? State.trailer : State.data;
  }

  /** The trailer section has the grammar of a head's fields, so it is read as a head with a made-up start line. */
  #readTrailer(bytes: Buffer, from: number): number {
    this.#trailer ??= trailerReader(this.#limits.trailer);
    const result = this.#trailer.push(bytes.subarray(from));
    if (result === undefined) return bytes.length;
    if (typeof result !== "string") {
      this.refusal = result;
      return bytes.length;
    }
    this.trailers = result;
    this.#state = State.done;
    return bytes.length - this.#trailer.rest.length;
  }

  #fail(reason: string): void {
    this.refusal = refuse(400, reason);
  }
}

function trailerReader(limits: HeadLimits): HeadReader<object, string> {
  const tooLarge = refuse(431, "the trailer fields are too large");
  const reader = new HeadReader<object, string>(
    {
      lineTooLong: tooLarge,
      headTooLarge: tooLarge,
      start: () => ({}),
      finish: (_, bytes, fields) => {
        let lines = "";
        for (let i = 0; i < fields.count; i++) {
          // Framing and routing fields have no meaning in a trailer and must not be merged from it (RFC 9110 section 6.5.1).
          if (fields.ids[i] !== Field.other) continue;
          lines += `${bytes.toString("latin1", fields.offsets[i * 4], fields.offsets[i * 4 + 3])}\r\n`;
        }
        return lines;
      },
    },
    limits,
  );
  reader.push(startOfTrailer);
  return reader;
}

/** What stands before a chunk of `length` bytes; behind its data stands `\r\n`. `length` is never 0. */
export function chunkStart(length: number): string {
  return `${length.toString(16)}\r\n`;
}

/** What ends a chunked body. `trailers` are lines ending in CRLF. */
export function lastChunk(trailers: string): string {
  return `0\r\n${trailers}\r\n`;
}
