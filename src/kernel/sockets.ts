/** Sockets made at a place by system calls; Node's own classes then drive them from any thread's loop. */
import { Socket } from "node:net";
import { InroadError, codeOf, messageOf } from "#lib/errors";
import { familyOf, openPingSocket, openSocket } from "./libc.ts";
import { imageEnd, imageOf, originEnd } from "./loopback.ts";
import type { End, Transport } from "./loopback.ts";
import { openAtImage } from "./loopback-listen.ts";
import { inNetNs, loopbackPlace } from "./netns.ts";
import type { LoopbackPlace, NetNs, NetPlace } from "./types.ts";

/** The kernel cuts it to net.core.somaxconn. */
const BACKLOG = 4096;

/**
 * A listening TCP socket at a place, for `server.listen({ fd })`.
 * @param place undefined means the place of this thread.
 * @param address an IP literal; `0.0.0.0` for all addresses of the place.
 * @param port 0 to 65535; 0 lets the kernel choose.
 * @throws InroadError with the errno's name (`EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL` ...) or `BadAddress`.
 */
export function tcpListener(place: NetPlace | undefined, address: string, port: number): number {
  return open(place, `listen on TCP ${address}:${port}`, () => {
    const loopback = loopbackPlace(place);
    if (loopback !== undefined) return openAtImage("TCP", loopback, { address, port, backlog: BACKLOG });
    return openSocket("tcp", familyOf(address), { bind: { address, port }, backlog: BACKLOG });
  });
}

/**
 * A listening TCP socket for all addresses of this thread's namespace, of both families: clients of IPv4 have addresses such
 * as `::ffff:10.0.0.1` there (RFC 4291 2.5.5.2). Errors as `tcpListener`.
 */
export function dualListener(port: number): number {
  return open(undefined, `listen on TCP [::]:${port}`, () =>
    openSocket("tcp", 6, { bind: { address: "::", port }, backlog: BACKLOG, bothFamilies: true }),
  );
}

/** A UDP socket at a place, for `dgram.Socket.bind({ fd })`. Parameters and errors as `tcpListener`. */
export function udpSocket(place: NetPlace | undefined, address: string, port: number): number {
  return open(place, `open UDP ${address}:${port}`, () => {
    const loopback = loopbackPlace(place);
    if (loopback !== undefined) return openAtImage("UDP", loopback, { address, port });
    return openSocket("udp", familyOf(address), { bind: { address, port } });
  });
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
 * Begins a TCP connection out of a place. The result is a plain `net.Socket`: `connect`, `error`, `close`
 * events as usual. `local` binds the near end first (a port of 0 lets the kernel choose).
 * @throws InroadError at once if the near end cannot be made; everything later arrives as the `error` event.
 */
export function tcpConnect(
  place: NetPlace | undefined,
  address: string,
  port: number,
  local: { readonly address?: string; readonly port?: number; readonly allowHalfOpen?: boolean } = {},
): Socket {
  const far = reachEnd(place, address, port);
  const family = familyOf(far.address);
  const near = nearEnd(loopbackPlace(place), far.own, local);
  const bind =
    near.address === undefined && near.port === undefined
      ? {}
      : { bind: { address: near.address ?? (family === 4 ? "0.0.0.0" : "::"), port: near.port ?? 0 } };
  const fd = open(place, `connect to TCP ${address}:${port}`, () =>
    openSocket("tcp", family, { ...bind, connects: true }),
  );
  return adopt(fd, local.allowHalfOpen === true).connect(far.port, far.address);
}

/** The near end of a connection; to an address of the cluster, a loopback place comes from its own. */
function nearEnd(
  place: LoopbackPlace | undefined,
  own: boolean,
  { address, port }: { readonly address?: string; readonly port?: number },
): { readonly address?: string; readonly port?: number } {
  const rest = port === undefined ? {} : { port };
  if (place === undefined) return address === undefined ? rest : { address, ...rest };
  const image = own ? imageOf(place.map, address ?? place.address) : undefined;
  return image === undefined ? rest : { address: image, ...rest };
}

/** Where the host has an address and port of the cluster: itself, or its image. For whoever opens sockets by Node's own functions. */
export function reachEnd(
  place: NetPlace | undefined,
  address: string,
  port: number,
  transport: Transport = "TCP",
): End & { readonly own: boolean } {
  const loopback = loopbackPlace(place);
  if (loopback === undefined) return { address, port, own: false };
  return imageEnd(loopback.map, address, port, transport);
}

/** As `reachEnd` for this thread's place, in the words of `net.connect`; the near end is the place's address. */
export function connectOptions(
  address: string,
  port: number,
): { readonly host: string; readonly port: number; readonly localAddress?: string } {
  const far = reachEnd(undefined, address, port);
  const near = nearEnd(loopbackPlace(undefined), far.own, {});
  return {
    host: far.address,
    port: far.port,
    ...(near.address === undefined ? {} : { localAddress: near.address }),
  };
}

/** An end of a socket (of a place) as the cluster calls it. */
export function clusterEnd(place: NetPlace | undefined, end: End, transport: Transport = "TCP"): End {
  const loopback = loopbackPlace(place);
  return loopback === undefined ? end : originEnd(loopback.map, end, transport);
}

/** Both ends of a connected socket as the cluster calls them; an end that is gone is port 0 of no address. */
export function endsOf(
  place: NetPlace | undefined,
  { localAddress = "", localPort = 0, remoteAddress = "", remotePort = 0 }: Partial<Socket>,
): { readonly local: End; readonly remote: End } {
  return {
    local: clusterEnd(place, { address: localAddress, port: localPort }),
    remote: clusterEnd(place, { address: remoteAddress, port: remotePort }),
  };
}

/** The socket must not read before it is connected; `manualStart` is Node's own switch for that. */
function adopt(fd: number, allowHalfOpen: boolean): Socket {
  const options = { fd, readable: true, writable: true, manualStart: true, allowHalfOpen };
  return new Socket(options);
}

function open(ns: NetPlace | undefined, what: string, make: () => number): number {
  try {
    return inNetNs(ns, make);
  } catch (error) {
    const place = ns === undefined ? "" : ` in ${ns.name}`;
    throw new InroadError(codeOf(error) ?? "SocketFailed", `cannot ${what}${place}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
