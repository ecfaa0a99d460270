/** How the DNS client gets its sockets: in this thread's namespace, or from whoever can open them in another one. */
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import type { LookupOneOptions } from "node:dns";
import { once } from "node:events";
import { connect, isIPv6, type Socket } from "node:net";
import { canonicalAddress } from "#lib/ip";

export interface DnsSockets {
  /** A bound UDP socket with a source port of its own; the caller closes it. */
  readonly udp: (server: DnsEndpoint) => Promise<UdpSocket>;
  /** A TCP connection that is being made; its `error` or `connect` event says how it ends. */
  readonly tcp: (server: DnsEndpoint) => Socket;
}

export interface DnsEndpoint {
  /** IP literal. */
  readonly address: string;
  readonly port: number;
}

/** `192.0.2.1:53`, `[2001:db8::1]:53`. */
export function formatDnsEndpoint({ address, port }: DnsEndpoint): string {
  return `${isIPv6(address) ? `[${address}]` : address}:${port}`;
}

/** `192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1`, `[2001:db8::1]:5353`; port 53 if none is said. Undefined for anything else. */
export function parseDnsEndpoint(text: string): DnsEndpoint | undefined {
  const whole = canonicalAddress(text.replace(/^\[(.*)\]$/, "$1"));
  if (whole !== undefined) return { address: whole, port: 53 };
  const [, six, four, digits] = /^(?:\[([^\]]+)\]|([\d.]+)):(\d{1,5})$/.exec(text) ?? [];
  const address = canonicalAddress(six ?? four ?? "");
  const port = Number(digits);
  return address !== undefined && port > 0 && port < 65_536 ? { address, port } : undefined;
}

/**
 * Every address here is an IP literal: there is nothing to look up, and the system's resolver must not be asked.
 * Calls back at once, so `listening` may come while `bind` still runs.
 */
export function ipLiteralLookup(
  address: string,
  _options: LookupOneOptions,
  callback: (error: NodeJS.ErrnoException | null, address: string, family: number) => void,
): void {
  callback(null, address, isIPv6(address) ? 6 : 4);
}

/** Sockets in the namespace this thread lives in. The kernel picks a random source port for each. */
export const threadSockets: DnsSockets = {
  async udp(server) {
    const socket = createSocket({ type: isIPv6(server.address) ? "udp6" : "udp4", lookup: ipLiteralLookup });
    const listening = once(socket, "listening");
    socket.bind({ port: 0, address: isIPv6(server.address) ? "::" : "0.0.0.0" });
    await listening;
    return socket;
  },
  tcp: (server) => connect({ host: server.address, port: server.port }),
};

/** Sockets that other functions open, for example in another network namespace: a UDP descriptor, a TCP connection. */
export function socketsFrom(open: {
  udpDescriptor(): number;
  tcpConnect(address: string, port: number): Socket;
}): DnsSockets {
  return {
    async udp(server) {
      const socket = createSocket({
        type: isIPv6(server.address) ? "udp6" : "udp4",
        lookup: ipLiteralLookup,
      });
      const listening = once(socket, "listening");
      socket.bind({ fd: open.udpDescriptor() });
      await listening;
      return socket;
    },
    tcp: (server) => open.tcpConnect(server.address, server.port),
  };
}
