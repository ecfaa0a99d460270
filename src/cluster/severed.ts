/** A way to the API server that can be cut, as a node that is down has none. */
import type { Transport } from "#client";
import { InroadError } from "#lib/errors";

export interface Severable {
  readonly transport: Transport;
  /** Ends all watches and refuses further requests. */
  sever(why: string): void;
  restore(): void;
}

export function severable(transport: Transport): Severable {
  let ending = new AbortController();
  let cut: string | undefined;
  return {
    transport: {
      request: async (request) => {
        if (cut !== undefined) throw new InroadError("Unreachable", `the API server is not reached: ${cut}`);
        // Only what lasts, as watches do, can be ended.
        if (request.signal === undefined) return transport.request(request);
        return transport.request({ ...request, signal: AbortSignal.any([ending.signal, request.signal]) });
      },
    },
    sever(why) {
      cut = why;
      ending.abort();
      ending = new AbortController();
    },
    restore() {
      cut = undefined;
    },
  };
}
