/** DNS over UDP and TCP: server loops, a stub resolver, and carriers of queries. The door of the `dns-*` files here. */
export type { Answered } from "./dns-answer.ts";
export type { DnsPeer, DnsQuery, DnsReply } from "./dns-response.ts";
export { carrierOnlyTo, socketCarrier, type DnsCarrier } from "./dns-carrier.ts";
export { openDgram } from "./dns-datagrams.ts";
export { queryFor } from "./dns-exchange.ts";
export { createSharedSocketCarrier } from "./dns-shared-socket.ts";
export { resolveName, searchNames } from "./dns-resolver.ts";
export type { Resolution, ResolverConfig } from "./dns-resolver.ts";
export { startDnsServer, type DnsListen, type DnsServer } from "./dns-server.ts";
export {
  formatDnsEndpoint,
  parseDnsEndpoint,
  socketsFrom,
  type DnsEndpoint,
  type DnsSockets,
} from "./dns-sockets.ts";
