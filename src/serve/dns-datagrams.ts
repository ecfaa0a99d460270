/** UDP by node:dgram: works everywhere, also in Workers. */
import { createSocket, type RemoteInfo } from "node:dgram";
import { once } from "node:events";
import { isIPv6 } from "node:net";
import type { DatagramListen, DatagramPeer, DatagramSocket } from "#lib/datagrams";
import { ipLiteralLookup } from "./dns-sockets.ts";

/** An `OpenDatagrams`. */
export async function openDgram(
  listen: DatagramListen,
  receive: (bytes: Uint8Array, from: DatagramPeer) => void,
): Promise<DatagramSocket> {
  const six = "address" in listen && isIPv6(listen.address);
  const socket = createSocket({ type: six ? "udp6" : "udp4", ipv6Only: six, lookup: ipLiteralLookup });
  let open = true;
  socket.on("message", (bytes, remote: RemoteInfo) => receive(bytes, remote));
  const listening = once(socket, "listening");
  socket.bind("fd" in listen ? { fd: listen.fd } : { address: listen.address, port: listen.port });
  await listening;
  // The system may tell of a datagram that could not be delivered; that one is lost, the socket is not.
  socket.on("error", () => undefined);
  return {
    port: socket.address().port,
    send(bytes, { address, port }) {
      // Without a callback a failed send would end the process. Port 0, which only a forger writes, would make `send` throw.
      if (open && port !== 0) socket.send(bytes, port, address, () => undefined);
    },
    async close() {
      if (!open) return;
      open = false;
      await new Promise<void>((resolve) => socket.close(() => resolve()));
    },
  };
}
