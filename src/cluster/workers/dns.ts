/** The cluster DNS, in the namespace of its pod. */
import { createSnapshotSource, type ProgrammedLease } from "#client";
import { clusterEnd, tcpListener, udpSocket } from "#kernel/sockets";
import { isIPv4 } from "#lib/ip";
import { createDnsMetrics, createUpstreams, startDns } from "#path/service";
import { parseDnsEndpoint } from "#serve/dns";
import { carryThrough } from "../threads.ts";
import { announceProgrammed, enterPod } from "./worker.ts";

const self = await enterPod();
const { data, client, log, ready, onStop } = self;
const source = createSnapshotSource(client, {
  domain: data.domain,
  controllerName: data.controllerName,
  // Names need no more: this pod need not know secrets.
  only: ["services", "endpointslices", "namespaces", "ingresses"],
  log,
});
/** Pods are given this long to notice that they should ask another replica, milliseconds. */
const lameduckMs = 2_000;

const metrics = createDnsMetrics("dns://:53", data.domain);
const upstreams = createUpstreams({
  // The socket that the host lends is an IPv4 one.
  servers: data.upstreamDns
    .flatMap((text) => parseDnsEndpoint(text) ?? [])
    .filter(({ address }) => isIPv4(address)),
  carry: carryThrough(data.line),
  policy: "sequential",
  log,
  onExchange: metrics.exchanged,
  onProbeFailure: metrics.probeFailed,
  onAllDown: metrics.allDown,
});
let lease: ProgrammedLease | undefined;
const dns = startDns({
  source,
  listen: {
    udp: { fd: udpSocket(undefined, "0.0.0.0", 53) },
    tcp: { fd: tcpListener(undefined, "0.0.0.0", 53) },
  },
  clientOf: (end) => clusterEnd(undefined, end),
  ...(data.upstreamDns.length === 0 ? {} : { forward: upstreams.forward }),
  metrics,
  endpoints: {
    metrics: { fd: tcpListener(undefined, "0.0.0.0", 9153) },
    health: { fd: tcpListener(undefined, "0.0.0.0", 8080) },
    ready: { fd: tcpListener(undefined, "0.0.0.0", 8181) },
  },
  lameduckMs,
  log,
});
onStop(async () => {
  await Promise.all([lease?.close(), dns.close()]);
  upstreams.close();
});
await dns.ready;
lease = announceProgrammed(self, "dns", source);
ready();
