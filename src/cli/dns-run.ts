/** What `inroad dns` does. */
import { getServers } from "node:dns";
import { readFileSync } from "node:fs";
import { InroadError } from "#lib/errors";
import type { ClusterDnsOptions } from "#path/service";
import type { DnsEndpoint } from "#serve/dns";
import { connectComponent, type Component } from "./component.ts";
import type { DnsCommandOptions } from "./dns.ts";
import { domainName, endpointsOf, hostSearch, httpListen, seconds, stubDomain } from "./dns-options.ts";
import { withFallBack } from "./dns-udp.ts";
import { requireKubeconfig } from "./options.ts";

/** Serves until SIGINT or SIGTERM. Throws an InroadError for what cannot be read, reached or listened on. */
export async function runDns(options: DnsCommandOptions): Promise<void> {
  const { context, domain } = options;
  const kubeconfig = requireKubeconfig("dns", options);
  const component = await connectComponent("dns", {
    kubeconfig,
    domain,
    kinds: kindsFor(options),
    ...(context === undefined ? {} : { context }),
  });
  try {
    await (options.public ? servePublic : serveCluster)(component, options);
  } finally {
    component.close();
  }
}

/** No more than the answers depend on: what is not watched needs no permission. */
function kindsFor(options: DnsCommandOptions): string[] {
  if (options.public) return ["services", "ingresses"];
  return [
    "services",
    "endpointslices",
    "namespaces",
    ...(options.ingressHosts ? ["ingresses"] : []),
    ...(options.autopath || options.pods === "verified" ? ["pods"] : []),
  ];
}

async function servePublic({ source, log, stopped }: Component, options: DnsCommandOptions): Promise<void> {
  const { startPublicDns } = await import("#path/load-balancer");
  const listen = listenAddress(options);
  const zone = options.zone.map((text) => domainName(text, "--zone"));
  const dns = startPublicDns({
    source,
    log,
    listen: { udp: listen, tcp: listen },
    ...(zone.length === 0 ? {} : { zones: zone }),
  });
  await untilStopped(dns.ready, stopped, () =>
    log.info("the public zone is served", { ...listen, zones: zone }),
  );
  await dns.close();
}

async function serveCluster(component: Component, options: DnsCommandOptions): Promise<void> {
  const { createDnsMetrics, createUpstreams, startDns } = await import("#path/service");
  const { openDgram, socketCarrier } = await import("#serve/dns");
  const { source, log, stopped } = component;
  const listen = listenAddress(options);
  const metrics = createDnsMetrics(`dns://:${listen.port}`, options.domain);
  const upstreamsOf = (servers: readonly DnsEndpoint[]) =>
    createUpstreams({
      servers,
      carry: socketCarrier({ timeoutMs: 2000 }),
      policy: options.policy,
      log,
      onExchange: metrics.exchanged,
      onProbeFailure: metrics.probeFailed,
      onAllDown: metrics.allDown,
    });
  const servers = upstreamServers(options.upstream);
  const upstreams = upstreamsOf(servers);
  const stubs = options.stub
    .map(stubDomain)
    .map((stub) => ({ domain: stub.domain, upstreams: upstreamsOf(stub.servers) }));
  const { openUdpBatch } = await import("#kernel");
  const dns = startDns({
    source,
    log,
    metrics,
    openDatagrams: withFallBack(openUdpBatch, openDgram, log),
    ...settingsOf(options),
    ...(servers.length === 0 ? {} : { forward: upstreams.forward, loopProbe: true }),
    stubDomains: stubs.map((stub) => ({ domain: stub.domain, forward: stub.upstreams.forward })),
  });
  await untilStopped(dns.ready, stopped, () => log.info("names are served", { ...listen }));
  await dns.close();
  for (const each of [upstreams, ...stubs.map((stub) => stub.upstreams)]) each.close();
}

function settingsOf(
  options: DnsCommandOptions,
): Pick<ClusterDnsOptions, "listen" | "zone" | "endpoints" | "lameduckMs"> & Partial<ClusterDnsOptions> {
  const listen = listenAddress(options);
  const { pods, namespace, endpointPodNames, ignoreEmptyService, zonal, log } = options;
  return {
    listen: { udp: listen, tcp: listen },
    zone: {
      ttl: seconds(options.ttl, "--ttl", [0, 3600]),
      pods,
      endpointPodNames,
      ignoreEmptyService,
      zonal,
      publicNames: options.ingressHosts ? "answer" : "forward",
      ...(namespace === undefined ? {} : { namespaces: namespace }),
    },
    endpoints: {
      metrics: httpListen(options.metrics, "--metrics"),
      health: httpListen(options.health, "--health"),
      ready: httpListen(options.ready, "--ready"),
    },
    lameduckMs: seconds(options.lameduck, "--lameduck", [0, 300]) * 1000,
    ...(log === undefined ? {} : { queryLog: log }),
    ...(options.autopath ? { autopath: { hostSearch: hostSearch(readResolvConf(), options.domain) } } : {}),
  };
}

function listenAddress({ listen }: DnsCommandOptions): DnsEndpoint {
  const [endpoint] = endpointsOf([listen], "--listen");
  if (endpoint === undefined) throw new InroadError("InvalidOption", "no address", { where: "--listen" });
  return endpoint;
}

function upstreamServers(given: readonly string[]): readonly DnsEndpoint[] {
  if (given.includes("none")) return [];
  return endpointsOf(given.length === 0 ? getServers() : given, "--upstream");
}

function readResolvConf(): string {
  try {
    return readFileSync("/etc/resolv.conf", "utf8");
  } catch {
    return "";
  }
}

/** Waits for the signal to end; before, says so when it is ready, and fails if it cannot become it. */
async function untilStopped(ready: Promise<void>, stopped: Promise<void>, say: () => void): Promise<void> {
  await Promise.race([ready.then(say).then(() => stopped), stopped]);
}
