/** Sockets made inside a namespace by system calls; Node's own classes then drive them from any thread's loop. */
import { Socket } from "node:net";
import { InroadError, codeOf, messageOf } from "#lib/errors";
import { familyOf, openPingSocket, openSocket } from "./libc.ts";
import { inNetNs } from "./netns.ts";
import type { NetNs } from "./types.ts";

/** The kernel cuts it to net.core.somaxconn. */
const BACKLOG = 4096;

/**
 * A listening TCP socket in a namespace, for `server.listen({ fd })`.
 * @param ns undefined means the namespace of this thread.
 * @param address an IP literal; `0.0.0.0` for all addresses.
 * @param port 0 to 65535; 0 lets the kernel choose.
 * @throws InroadError with the errno's name (`EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL` ...) or `BadAddress`.
 */
export function tcpListener(ns: NetNs | undefined, address: string, port: number): number {
  return open(ns, `listen on TCP ${address}:${port}`, () =>
    openSocket("tcp", familyOf(address), { bind: { address, port }, backlog: BACKLOG }),
  );
}

/** A UDP socket in a namespace, for `dgram.Socket.bind({ fd })`. Parameters and errors as `tcpListener`. */
export function udpSocket(ns: NetNs | undefined, address: string, port: number): number {
  return open(ns, `open UDP ${address}:${port}`, () =>
    openSocket("udp", familyOf(address), { bind: { address, port } }),
  );
}

/**
 * A socket for ICMP echo over IPv4 in a namespace, for `dgram.Socket.bind({ fd })`; datagrams are ICMP messages from their
 * type on. Needs `net/ipv4/ping_group_range` to admit our group.
 * @throws InroadError with the errno's name (`EACCES`: the group is not admitted).
 */
export function pingSocket(ns: NetNs | undefined): number {
  return open(ns, "open a ping socket", openPingSocket);
}

/**
 * Begins a TCP connection out of a namespace. The result is a plain `net.Socket`: `connect`, `error`, `close`
 * events as usual. `local` binds the near end first (a port of 0 lets the kernel choose).
 * @throws InroadError at once if the near end cannot be made; everything later arrives as the `error` event.
 */
export function tcpConnect(
  ns: NetNs | undefined,
  address: string,
  port: number,
  local?: { readonly address?: string; readonly port?: number },
): Socket {
  const family = familyOf(address);
  const bind =
    local === undefined
      ? {}
      : { bind: { address: local.address ?? (family === 4 ? "0.0.0.0" : "::"), port: local.port ?? 0 } };
  const fd = open(ns, `connect to TCP ${address}:${port}`, () => openSocket("tcp", family, bind));
  return adopt(fd).connect(port, address);
}

/** The socket must not read before it is connected; `manualStart` is Node's own switch for that. */
function adopt(fd: number): Socket {
  const options = { fd, readable: true, writable: true, manualStart: true };
  return new Socket(options);
}

function open(ns: NetNs | undefined, what: string, make: () => number): number {
  try {
    return inNetNs(ns, make);
  } catch (error) {
    const place = ns === undefined ? "" : ` in ${ns.name}`;
    throw new InroadError(codeOf(error) ?? "SocketFailed", `cannot ${what}${place}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
