/** ICMP echo over IPv4 (RFC 792), by a socket of the kernel's (icmp(7)): many ends are asked by one socket. */
import dgram from "node:dgram";
import { sendDatagram } from "./libc.ts";
import { setSysctls } from "./network.ts";
import { pingSocket } from "./sockets.ts";
import type { NetNs } from "./types.ts";

export interface EchoSocket {
  /**
   * Sends one echo request; false when the kernel refused it (too large, no route, dropped on the spot).
   * @param size of the whole packet in bytes, IP header included
   */
  send(address: string, sequence: number, size?: number): boolean;
  close(): void;
}

const IP_HEADER = 20;
const ICMP_HEADER = 8;
const ECHO_REQUEST = 8;

/**
 * Opens the socket of a namespace; what does not come back is not heard of. In a namespace that is ours our group is admitted
 * first; that of this thread may be a machine of somebody else, whose settings stay.
 * @throws InroadError as `pingSocket` and `setSysctls` do
 */
export function openEchoSocket(
  ns: NetNs | undefined,
  onReply: (address: string, sequence: number) => void,
): EchoSocket {
  if (ns !== undefined) setSysctls(ns, { "net/ipv4/ping_group_range": "0 0" });
  const fd = pingSocket(ns);
  const socket = dgram.createSocket("udp4");
  socket.on("message", (message, { address }) => {
    if (message.length >= ICMP_HEADER) onReply(address, message.readUInt16BE(6));
  });
  // "Too big" and "unreachable" are answers of the path, and as good as none.
  socket.on("error", () => undefined);
  socket.bind({ fd });
  let open = true;
  return {
    send(address, sequence, size = IP_HEADER + ICMP_HEADER) {
      const request = Buffer.alloc(size - IP_HEADER);
      request[0] = ECHO_REQUEST;
      request.writeUInt16BE(sequence, 6);
      return open && sendDatagram(fd, request, address);
    },
    close() {
      open = false;
      socket.close();
    },
  };
}
