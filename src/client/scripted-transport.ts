/** A transport for tests: each request waits until the test answers it. */
import type { ApiRequest, ApiResponse, Transport } from "./types.ts";

interface Pending {
  readonly request: ApiRequest;
  /** Answers with a status and a JSON body. */
  json(status: number, body: unknown): void;
  /** Answers with a body that goes on; returns how to send chunks and how to end it. */
  stream(): { send(text: string): void; end(): void };
  fail(error: Error): void;
}

export interface ScriptedTransport extends Transport {
  /** The next request that was made, once there is one. */
  next(): Promise<Pending>;
  /** Requests that were made and not taken by `next`. */
  waiting(): number;
}

export function scriptedTransport(): ScriptedTransport {
  const made: Pending[] = [];
  const takers: ((pending: Pending) => void)[] = [];
  return {
    waiting: () => made.length,
    next: () =>
      new Promise((resolve) => {
        const pending = made.shift();
        if (pending === undefined) takers.push(resolve);
        else resolve(pending);
      }),
    request: (request) =>
      new Promise<ApiResponse>((resolve, reject) => {
        const pending: Pending = {
          request,
          fail: reject,
          json: (status, body) => resolve({ status, headers: {}, body: chunksOf(JSON.stringify(body)) }),
          stream: () => {
            const body = openBody();
            request.signal?.addEventListener("abort", () => body.end());
            resolve({ status: 200, headers: {}, body: body.chunks() });
            return body;
          },
        };
        const taker = takers.shift();
        if (taker === undefined) made.push(pending);
        else taker(pending);
      }),
  };
}

async function* chunksOf(text: string): AsyncGenerator<Uint8Array> {
  yield new TextEncoder().encode(text);
}

/** A body that the test writes while it is being read. */
function openBody() {
  const waiting: Uint8Array[] = [];
  let ended = false;
  let wake: (() => void) | undefined;
  return {
    send: (text: string): void => {
      waiting.push(new TextEncoder().encode(text));
      wake?.();
    },
    end: (): void => {
      ended = true;
      wake?.();
    },
    chunks: async function* (): AsyncGenerator<Uint8Array> {
      for (;;) {
        const chunk = waiting.shift();
        if (chunk !== undefined) yield chunk;
        else if (ended) return;
        else await new Promise<void>((resolve) => (wake = resolve));
      }
    },
  };
}
