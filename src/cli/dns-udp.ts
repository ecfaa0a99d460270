/** The fast way of reading UDP where it works, else the one that works everywhere. */
import type { OpenDatagrams } from "#lib/datagrams";
import { codeOf, messageOf } from "#lib/errors";
import type { Log } from "#lib/log";

/**
 * Opens with `fast`; when that cannot be had in this process (code `UvFailed` or `NotMainThread`), says so and opens with
 * `portable`. What would fail either way, a busy port for example, fails at once.
 */
export function withFallBack(fast: OpenDatagrams, portable: OpenDatagrams, log: Log): OpenDatagrams {
  return async (listen, receive) => {
    try {
      return await fast(listen, receive);
    } catch (error) {
      if (!["UvFailed", "NotMainThread"].includes(codeOf(error) ?? "")) throw error;
      log.warn("UDP is read one datagram at a time", { why: messageOf(error) });
      return portable(listen, receive);
    }
  };
}
