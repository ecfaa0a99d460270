/**
 * UDP in batches: one recvmmsg(2) takes up to 64 datagrams, one sendmmsg(2) sends up to 64 (Linux, little-endian, 64 bits). All
 * memory that the kernel may touch is in `udp-slots.ts`, allocated once per socket and referenced for as long as it is open.
 */
import type { DatagramListen, DatagramPeer, DatagramSocket } from "#lib/datagrams";
import { closeDescriptor, familyOf, openSocket, receiveMany, sendMany, socketPort } from "./libc.ts";
import { watchReadable } from "./libuv.ts";
import { BATCH, SLOT, Slots } from "./udp-slots.ts";

/** Batches in one turn of the loop: whoever sends faster must not keep everything else from running. */
const MAX_ROUNDS = 8;

/**
 * Opens a UDP socket that reads and writes in batches: an `OpenDatagrams` for the main thread (see `watchReadable`). What is
 * sent while datagrams are being received goes out together after the last of them.
 * @throws InroadError with the errno's name (`EADDRINUSE` ...), `BadAddress`, or `NotMainThread`.
 */
export async function openUdpBatch(
  listen: DatagramListen,
  receive: (bytes: Uint8Array, from: DatagramPeer) => void,
): Promise<DatagramSocket> {
  const fd = "fd" in listen ? listen.fd : openSocket("udp", familyOf(listen.address), { bind: listen });
  const input = new Slots();
  const outbox = createOutbox(fd);
  const state = { open: true, scheduled: false, draining: false };

  const drain = (): void => {
    state.scheduled = false;
    state.draining = true;
    for (let round = 0; state.open && round < MAX_ROUNDS; round++) {
      const count = receiveMany(fd, input.headers, BATCH);
      for (let i = 0; i < count; i++) {
        receive(input.bytes(i), input.sender(i));
      }
      outbox.flush();
      if (count < BATCH) break;
    }
    state.draining = false;
  };
  const schedule = (): void => {
    if (state.scheduled) return;
    state.scheduled = true;
    setImmediate(drain);
  };
  const unwatch = watchOrClose(fd, schedule);
  return {
    port: socketPort(fd),
    send(bytes, to) {
      if (!state.open || bytes.length > SLOT) return;
      outbox.put(bytes, to);
      // A turn that is due reads first and sends then; there is always one, so nothing waits longer.
      if (!state.draining) schedule();
    },
    async close() {
      if (!state.open) return;
      outbox.flush();
      state.open = false;
      await unwatch();
      closeDescriptor(fd);
    },
  };
}

/** A descriptor that cannot be watched is of no use to anybody. */
function watchOrClose(fd: number, onReadable: () => void): () => Promise<void> {
  try {
    return watchReadable(fd, onReadable);
  } catch (error) {
    closeDescriptor(fd);
    throw error;
  }
}

/** Datagrams that wait to be sent together. */
function createOutbox(fd: number) {
  const output = new Slots();
  let waiting = 0;
  const flush = (): void => {
    let sent = 0;
    while (sent < waiting) {
      const result = sendMany(fd, output.from(sent), waiting - sent);
      // A full socket loses the rest, as a full queue on the way would. One that cannot be sent must not stop the others.
      if (result === "full") break;
      sent += Math.max(result, 1);
    }
    waiting = 0;
  };
  return {
    flush,
    put(bytes: Uint8Array, to: DatagramPeer): void {
      output.put(waiting, bytes, to);
      waiting += 1;
      if (waiting === BATCH) flush();
    },
  };
}
