/** `inroad dns`: the cluster DNS, or the public zone, of any cluster's API server. */
import { getServers } from "node:dns";
import { readFileSync } from "node:fs";
import { Command, Option } from "commander";
import { InroadError } from "#lib/errors";
import type { ClusterDnsOptions } from "#path/service";
import { parseDnsEndpoint, type DnsEndpoint } from "#serve/dns";
import { connectComponent, type Component } from "./component.ts";
import { domainName, endpointsOf, hostSearch, httpListen, seconds, stubDomain } from "./dns-options.ts";
import { withFallBack } from "./dns-udp.ts";
import { kubeconfigOptions, type KubeconfigOptions } from "./options.ts";

interface DnsCommandOptions extends KubeconfigOptions {
  readonly listen: DnsEndpoint;
  readonly upstream: readonly string[];
  readonly policy: "random" | "round_robin" | "sequential";
  readonly stub: readonly { readonly domain: string; readonly servers: readonly DnsEndpoint[] }[];
  readonly ttl: number;
  readonly pods: "disabled" | "insecure" | "verified";
  readonly namespace?: readonly string[];
  readonly endpointPodNames: boolean;
  readonly ignoreEmptyService: boolean;
  readonly zonal: boolean;
  readonly ingressHosts: boolean;
  readonly autopath: boolean;
  readonly log?: "all" | "denial" | "error";
  readonly metrics?: ReturnType<typeof httpListen>;
  readonly health?: ReturnType<typeof httpListen>;
  readonly ready?: ReturnType<typeof httpListen>;
  readonly lameduck: number;
  readonly public: boolean;
  readonly zone: readonly string[];
}

export function dnsCommand(): Command {
  const command = new Command("dns")
    .description("serve the names of a cluster, from its API server")
    .addOption(
      new Option("--listen <address>", "address of the name server, UDP and TCP")
        .default(parseDnsEndpoint("0.0.0.0"), "0.0.0.0:53")
        .argParser(listenAddress),
    )
    .option(
      "--upstream <server>",
      "resolver for all other names, or none; repeatable (default: this machine's)",
      collect,
      [],
    )
    .addOption(
      new Option("--policy <policy>", "which upstream first")
        .choices(["random", "round_robin", "sequential"])
        .default("random"),
    )
    .option(
      "--stub <domain=server,...>",
      "resolvers of their own for a domain; repeatable",
      (text, all: unknown[]) => [...all, stubDomain(text)],
      [],
    )
    .option("--ttl <seconds>", "TTL of the cluster's records, 0 to 3600", seconds(0, 3600), 5)
    .addOption(
      new Option("--pods <mode>", "names of pods by their address")
        .choices(["disabled", "insecure", "verified"])
        .default("insecure"),
    )
    .option("--namespace <name>", "serve only these namespaces; repeatable", collect)
    .option("--endpoint-pod-names", "name endpoints after their pods", false)
    .option("--ignore-empty-service", "a Service without a ready endpoint does not exist", false)
    .option("--zonal", "names by topology zone", false)
    .option("--ingress-hosts", "answer the hosts of Ingresses with their load balancer's addresses", false)
    .option(
      "--autopath",
      "walk search lists for pods with the default resolver settings (watches pods)",
      false,
    )
    .addOption(new Option("--log <which>", "a line per query").choices(["all", "denial", "error"]));
  addOperationOptions(command);
  command
    .option(
      "--public",
      "serve the public zone instead: hosts of Ingresses and announced Services, nothing else",
      false,
    )
    .option(
      "--zone <domain>",
      "with --public: a zone it answers for; repeatable (default: all the world)",
      (text, all: string[]) => [...all, domainName(text)],
      [],
    );
  for (const option of kubeconfigOptions()) command.addOption(option);
  return command.action(runDns);
}

function addOperationOptions(command: Command): void {
  command
    .option(
      "--metrics <address>",
      "where /metrics and /clients are, or none",
      httpListen,
      httpListen("127.0.0.1:9153"),
    )
    .option("--health <address>", "where /health is, or none", httpListen, httpListen("127.0.0.1:8080"))
    .option("--ready <address>", "where /ready is, or none", httpListen, httpListen("127.0.0.1:8181"))
    .option("--lameduck <seconds>", "go on answering for so long after SIGTERM", seconds(0, 300), 5);
}

const collect = (text: string, all: readonly string[] = []): readonly string[] => [...all, text];

function listenAddress(text: string): DnsEndpoint {
  const [endpoint] = endpointsOf([text], "--listen");
  if (endpoint === undefined) throw new InroadError("InvalidOption", "no address", { where: "--listen" });
  return endpoint;
}

async function runDns(options: DnsCommandOptions): Promise<void> {
  const { kubeconfig, context, domain } = options;
  if (kubeconfig === undefined) {
    throw new InroadError("NoKubeconfig", "dns needs the way to an API server", {
      mend: "name a kubeconfig file: --kubeconfig FILE, or the environment's KUBECONFIG",
    });
  }
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
  const { listen, zone } = options;
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
  const metrics = createDnsMetrics(`dns://:${options.listen.port}`, options.domain);
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
  const stubs = options.stub.map((stub) => ({ domain: stub.domain, upstreams: upstreamsOf(stub.servers) }));
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
  await untilStopped(dns.ready, stopped, () => log.info("names are served", { ...options.listen }));
  await dns.close();
  for (const each of [upstreams, ...stubs.map((stub) => stub.upstreams)]) each.close();
}

function settingsOf(
  options: DnsCommandOptions,
): Pick<ClusterDnsOptions, "listen" | "zone" | "endpoints" | "lameduckMs"> & Partial<ClusterDnsOptions> {
  const { listen, ttl, pods, namespace, endpointPodNames, ignoreEmptyService, zonal, log } = options;
  return {
    listen: { udp: listen, tcp: listen },
    zone: {
      ttl,
      pods,
      endpointPodNames,
      ignoreEmptyService,
      zonal,
      publicNames: options.ingressHosts ? "answer" : "forward",
      ...(namespace === undefined ? {} : { namespaces: namespace }),
    },
    endpoints: { metrics: options.metrics, health: options.health, ready: options.ready },
    lameduckMs: options.lameduck * 1000,
    ...(log === undefined ? {} : { queryLog: log }),
    ...(options.autopath ? { autopath: { hostSearch: hostSearch(readResolvConf(), options.domain) } } : {}),
  };
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
