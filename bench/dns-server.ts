/** Our side of `bench:dns`: the cluster DNS with so many Services, by one of its two UDP transports. Ends with its parent. */
import { openUdpBatch } from "#kernel";
import { createLog } from "#lib/log";
import type { ServiceModel, Snapshot } from "#model";
import { startDns } from "#path/service";
import { openDgram } from "#serve/dns";
import { benchNames, domain } from "./dns-names.ts";

const [count = "1000", port = "0", transport = "batch"] = process.argv.slice(2);

const services = benchNames(Number(count)).map(({ service, namespace, address }): [string, ServiceModel] => [
  `${namespace}/${service}`,
  {
    namespace,
    name: service,
    type: "ClusterIP",
    clusterIPs: [address],
    headless: false,
    selector: {},
    ports: [{ name: "http", protocol: "TCP", port: 80, targetPort: 8080, endpoints: [] }],
    loadBalancerIPs: [],
    externalTrafficPolicy: "Cluster",
    internalTrafficPolicy: "Cluster",
    sessionAffinity: "None",
    publishNotReadyAddresses: false,
  },
]);
const snapshot: Snapshot = {
  domain,
  nodes: new Map(),
  pods: new Map(),
  podsByAddress: new Map(),
  namespaces: new Set(services.map(([, { namespace }]) => namespace)),
  services: new Map(services),
  routes: { hosts: new Map(), certificates: [] },
  policies: new Map(),
  findings: [],
};

process.on("disconnect", () => process.exit(0));
const dns = startDns({
  source: { current: () => snapshot, subscribe: () => () => undefined },
  listen: { udp: { address: "127.0.0.1", port: Number(port) } },
  openDatagrams: transport === "batch" ? openUdpBatch : openDgram,
  log: createLog("dns", (line) => console.error(line)),
});
await dns.ready;
