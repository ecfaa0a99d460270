/** What the supervisor lends: sockets of the host, and certificates of the CA whose key it keeps. */
import type { Socket as UdpSocket } from "node:dgram";
import type { Server } from "node:net";
import type { DnsCarrier } from "#serve/dns";
import type { EgressLink } from "./egress.ts";
import type { HostDns } from "./host-dns.ts";

export interface Certificate {
  readonly certificate: string;
  readonly key: string;
}

export interface HostSide {
  /** Called once for each lent socket, also for those lent before. */
  onApi(use: (server: Server) => void): void;
  onPort(use: (port: number, server: Server) => void): void;
  onDns(use: (socket: UdpSocket) => void): void;
  /** Carries queries to the host's name servers by TCP. */
  readonly dnsByTcp: DnsCarrier;
  /** Called when the device for the way out is in the home namespace. */
  onEgress(use: (link: EgressLink) => void): void;
  /** Asks for a certificate for these hosts; the answer comes to `onCertificate`. */
  requestCertificate(hosts: readonly string[]): void;
  onCertificate(use: (certificate: Certificate) => void): void;
}

export interface HostInbox extends HostSide {
  offerApi(server: Server): void;
  offerPort(port: number, server: Server): void;
  offerDns(socket: UdpSocket): void;
  offerEgress(link: EgressLink): void;
  certificateIssued(certificate: Certificate): void;
}

/** Keeps what comes before somebody asks for it. */
function mailbox<T extends readonly unknown[]>(): {
  put(...item: T): void;
  take(use: (...item: T) => void): void;
} {
  const waiting: T[] = [];
  let user: ((...item: T) => void) | undefined;
  return {
    put(...item) {
      if (user === undefined) waiting.push(item);
      else user(...item);
    },
    take(use) {
      user = use;
      for (const item of waiting.splice(0)) use(...item);
    },
  };
}

export function createHostSide(options: {
  requestCertificate: (hosts: readonly string[]) => void;
  dns: HostDns;
}): HostInbox {
  const api = mailbox<[Server]>();
  const ports = mailbox<[number, Server]>();
  const dns = mailbox<[UdpSocket]>();
  const egress = mailbox<[EgressLink]>();
  const certificates = mailbox<[Certificate]>();
  return {
    offerApi: api.put,
    offerPort: ports.put,
    offerDns: dns.put,
    offerEgress: egress.put,
    certificateIssued: certificates.put,
    onApi: api.take,
    onPort: ports.take,
    onDns: dns.take,
    dnsByTcp: options.dns.carry,
    onEgress: egress.take,
    onCertificate: certificates.take,
    requestCertificate: options.requestCertificate,
  };
}
