/**
 * Watches a descriptor in this thread's own event loop: libuv's uv_poll, which Node's executable exports and Node itself does
 * not offer, called through node:ffi.
 */
import ffi from "node:ffi";
import { isMainThread } from "node:worker_threads";
import { InroadError, messageOf } from "#lib/errors";

/** `uv_handle_type` and `uv_poll_event` of libuv's uv.h. */
const UV_POLL = 8;
const UV_READABLE = 1;

let loaded: ReturnType<typeof load> | undefined;

function load() {
  try {
    return ffi.dlopen(null, {
      uv_handle_size: { arguments: ["i32"], return: "u64" },
      uv_poll_init: { arguments: ["pointer", "buffer", "i32"], return: "i32" },
      uv_poll_start: { arguments: ["buffer", "i32", "pointer"], return: "i32" },
      uv_close: { arguments: ["buffer", "pointer"], return: "void" },
    });
  } catch (error) {
    throw new InroadError("UvFailed", `this Node does not give libuv away: ${messageOf(error)}`);
  }
}

/** Handles that libuv may touch, with their memory: from their start until their close callback has run. */
const alive = new Set<Buffer>();

/**
 * Calls `onReadable` in every turn of the loop in which `fd` can be read. It runs inside libuv's callback, outside of
 * Node's own: it must not throw, and should only note the fact and go on in a `setImmediate`.
 *
 * In the main thread only: a Worker that is terminated while libuv holds a handle that Node does not know takes the whole
 * process with it.
 * @returns a function that ends the watch; the descriptor may be closed when its promise is fulfilled.
 * @throws InroadError `NotMainThread` or `UvFailed`.
 */
export function watchReadable(fd: number, onReadable: () => void): () => Promise<void> {
  if (!isMainThread)
    throw new InroadError("NotMainThread", "descriptors are watched in the main thread only");
  loaded ??= load();
  const { lib, functions } = loaded;
  const handle = Buffer.alloc(Number(functions.uv_handle_size(UV_POLL)));
  check(functions.uv_poll_init(ffi.getCurrentEventLoop(), handle, fd), "uv_poll_init");
  alive.add(handle);
  const callback = lib.registerCallback({ arguments: ["pointer", "i32", "i32"], return: "void" }, () =>
    onReadable(),
  );
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      const closed = lib.registerCallback({ arguments: ["pointer"], return: "void" }, () => {
        // A callback may not be given back while it runs.
        setImmediate(() => {
          alive.delete(handle);
          lib.unregisterCallback(callback);
          lib.unregisterCallback(closed);
          resolve();
        });
      });
      functions.uv_close(handle, closed);
    });
  const result = functions.uv_poll_start(handle, UV_READABLE, callback);
  if (result !== 0) void close();
  check(result, "uv_poll_start");
  return close;
}

function check(result: number, what: string): void {
  if (result !== 0) throw new InroadError("UvFailed", `${what} failed with ${result}`);
}
