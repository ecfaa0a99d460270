/** Reads a body of any framing from a stream of bytes. */
import { ChunkedDecoder, type ChunkLimits } from "./http1-chunked.ts";
import type { Framing } from "./http1-framing.ts";
import type { Refusal } from "./http1-head.ts";

export interface BodyReader {
  /** True when the last byte of the body has been read. */
  readonly done: boolean;
  /** Set when the body breaks its framing; the stream is then unusable. */
  readonly refusal: Refusal | undefined;
  /** Trailer fields as lines ending in CRLF. */
  readonly trailers: string;
  /** Reads from `bytes[from]`, calls `emit` with slices of data; returns the offset behind the last byte that was used. */
  read(bytes: Buffer, from: number, emit: (data: Buffer) => void): number;
}

export function createBodyReader(framing: Framing, limits?: ChunkLimits): BodyReader {
  if (framing.kind === "chunked") return new ChunkedDecoder(limits);
  if (framing.kind === "length") return new SizedBody(framing.length);
  return new SizedBody(framing.kind === "none" ? 0 : Number.POSITIVE_INFINITY);
}

/** A body of so many bytes; of infinitely many when the connection's end is its end. */
class SizedBody implements BodyReader {
  readonly refusal = undefined;
  readonly trailers = "";
  #left: number;

  constructor(length: number) {
    this.#left = length;
  }

  get done(): boolean {
    return this.#left === 0;
  }

  read(bytes: Buffer, from: number, emit: (data: Buffer) => void): number {
    const end = Math.min(bytes.length, from + this.#left);
    if (end > from) emit(from === 0 && end === bytes.length ? bytes : bytes.subarray(from, end));
    this.#left -= end - from;
    return end;
  }
}
