/** Finds out whether queries that are sent upstream come back here: then each would go round until everything is busy. */
import { randomInt } from "node:crypto";
import { messageOf } from "#lib/errors";
import type { Log } from "#lib/log";
import { queryFor } from "#serve/dns";
import type { Forward } from "./forward.ts";

/** HINFO: nobody else asks for it (RFC 8482 gave it another use), as in CoreDNS' probe. */
const PROBE_TYPE = "TYPE13";
const AGAIN_MS = 30_000;

export interface LoopGuard {
  /** Whether a question is our own probe, come back. */
  isOurs(name: string): boolean;
  /** Sends the first probe; the server must answer by now. */
  start(): void;
  /** True while nothing should be forwarded. */
  looping(): boolean;
  close(): void;
}

/** Probes once, and while there is a loop every 30 s, so that one that is mended ends by itself. */
export function createLoopGuard(options: { readonly forward: Forward; readonly log: Log }): LoopGuard {
  const { forward, log } = options;
  // Nobody can guess it, so whoever asks for it got it from us.
  const name = `${randomInt(2 ** 47)}.${randomInt(2 ** 47)}.`;
  let seen = false;
  let looping = false;
  let timer: NodeJS.Timeout | undefined;

  const probe = async (): Promise<void> => {
    seen = false;
    await forward(queryFor({ name, type: PROBE_TYPE }), "udp").catch((error: unknown) =>
      log.warn("upstream resolver did not answer the loop probe", { error: messageOf(error) }),
    );
    if (looping && !seen) log.info("the forwarding loop is gone");
    looping = seen;
    if (looping) timer = setTimeout(() => void probe(), AGAIN_MS).unref();
  };

  return {
    start: () => void probe(),
    isOurs(asked) {
      if (asked !== name) return false;
      if (!looping) {
        log.error("forwarding loop: the upstream resolver sends queries back here; nothing is forwarded", {
          mend: "name an upstream that does not ask this server, such as the network's own resolver",
        });
      }
      seen = true;
      looping = true;
      return true;
    },
    looping: () => looping,
    close: () => clearTimeout(timer),
  };
}
