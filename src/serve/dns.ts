/** DNS over UDP and TCP: server loops, a stub resolver, and a forwarder. The door of the `dns-*` files here. */
export type { DnsHandler, DnsPeer, DnsQuery, DnsReply } from "./dns-answer.ts";
export { createDnsForwarder } from "./dns-forwarder.ts";
export { resolveName, searchNames } from "./dns-resolver.ts";
export type { Resolution, ResolverConfig } from "./dns-resolver.ts";
export { startDnsServer, type DnsListen, type DnsServer } from "./dns-server.ts";
export { socketsFrom, type DnsSockets } from "./dns-sockets.ts";
