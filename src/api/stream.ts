/** The body of an answer that goes on: chunks are pushed at one end and read at the other. */
export interface Stream {
  readonly body: AsyncIterable<Uint8Array>;
  push(chunk: Uint8Array): void;
  /** Ends the body after what has been pushed. */
  end(): void;
  /** Bytes that nobody has read yet. */
  pending(): number;
}

/**
 * A stream that hands out all waiting chunks at once, so that a reader who lags behind makes few,
 * large writes. `head` is read first, at the pace of the reader; `onClose` is called once, when the
 * stream has ended or its reader has gone.
 */
export function createStream(head: Iterable<Uint8Array>, onClose: () => void): Stream {
  let waiting: Uint8Array[] = [];
  let size = 0;
  let ended = false;
  let closed = false;
  let wake: (() => void) | undefined;

  const close = (): void => {
    if (closed) return;
    closed = true;
    onClose();
  };

  async function* read(): AsyncGenerator<Uint8Array> {
    try {
      yield* head;
      for (;;) {
        if (waiting.length > 0) {
          const chunks = waiting;
          waiting = [];
          size = 0;
          const [only] = chunks;
          yield chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks);
        } else if (ended) return;
        else await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      close();
    }
  }

  return {
    body: { [Symbol.asyncIterator]: read },
    pending: () => size,
    push: (chunk) => {
      if (ended) return;
      waiting.push(chunk);
      size += chunk.length;
      wake?.();
    },
    end: () => {
      ended = true;
      close();
      wake?.();
    },
  };
}
