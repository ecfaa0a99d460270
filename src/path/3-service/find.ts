/** What a name of the cluster's zone stands for (Kubernetes DNS specification 1.1.0, with CoreDNS' choices). */
import { isIPv4, isIPv6 } from "#lib/ip";
import type { Endpoint, ServiceModel, ServicePort, Snapshot } from "#model";

/** The Service of the cluster DNS itself, by the convention of every Kubernetes distribution. */
export const dnsService = "kube-system/kube-dns";

/** An address under a name; `target` is the name that SRV records give it, relative to the zone. */
export interface Entry {
  readonly address: string;
  /** Undefined when the Service has no ports. */
  readonly port: number | undefined;
  readonly target: string;
}

export type Found =
  | { readonly kind: "entries"; readonly entries: readonly Entry[] }
  | { readonly kind: "alias"; readonly target: string }
  | { readonly kind: "text"; readonly text: string }
  /** The name exists, or names below it do, but it has no records of its own. */
  | { readonly kind: "empty" }
  | { readonly kind: "missing"; readonly reason: string };

const empty: Found = { kind: "empty" };
const missing = (reason: string): Found => ({ kind: "missing", reason });

/** Looks a name up, given as lower-case labels left of the zone: `["api-service", "default", "svc"]`. */
export function find(snapshot: Snapshot, labels: readonly string[]): Found {
  const [kind, namespace, ...rest] = [...labels].reverse();
  if (kind === undefined) return empty;
  if (kind === "dns-version" && labels.length === 1) return { kind: "text", text: "1.1.0" };
  if (kind === "dns") return findNameServer(snapshot, labels);
  if (kind !== "svc" && kind !== "pod") return missing(`the zone has no ${kind}`);
  if (namespace === undefined) return empty;
  if (!snapshot.namespaces.has(namespace)) return missing(`there is no namespace ${namespace}`);
  if (kind === "pod") return findPod(namespace, rest);
  const [name, ...below] = rest;
  if (name === undefined) return empty;
  const service = snapshot.services.get(`${namespace}/${name}`);
  if (service === undefined) return missing(`there is no Service ${namespace}/${name}`);
  return findInService(service, below.reverse());
}

/** `ns.dns`, the primary server that SOA and NS records name. */
function findNameServer(snapshot: Snapshot, labels: readonly string[]): Found {
  if (labels.length === 1) return empty;
  if (labels.length > 2 || labels[0] !== "ns") return missing("the zone has only ns.dns");
  const entries = (snapshot.services.get(dnsService)?.clusterIPs ?? []).map((address) => ({
    address,
    port: undefined,
    target: "ns.dns",
  }));
  return entries.length === 0 ? empty : { kind: "entries", entries };
}

/** `10-244-0-5.NAMESPACE.pod`: any address, whether a pod has it or not ("pods insecure", kubeadm's setting). */
function findPod(namespace: string, reversed: readonly string[]): Found {
  const [name, ...more] = reversed;
  if (name === undefined) return empty;
  const address = /^\d+-\d+-\d+-\d+$/.test(name) ? name.replaceAll("-", ".") : name.replaceAll("-", ":");
  if (more.length > 0 || !(isIPv4(address) || isIPv6(address)))
    return missing(`${name} is no address with dashes`);
  return { kind: "entries", entries: [{ address, port: undefined, target: `${name}.${namespace}.pod` }] };
}

function findInService(service: ServiceModel, labels: readonly string[]): Found {
  if (service.type === "ExternalName") {
    if (labels.length > 0) return missing("an ExternalName Service has no names below it");
    const target = service.externalName ?? "";
    const usable = target !== "" && !isIPv4(target) && !isIPv6(target);
    return usable ? { kind: "alias", target } : missing(`externalName "${target}" is no name`);
  }
  const [first, second, ...more] = labels;
  if (more.length > 0) return missing("no record has so many labels");
  if (first !== undefined && second !== undefined)
    return findPort(service, unmarked(first), unmarked(second));
  if (first !== undefined) return findEndpoint(service, first);
  return entriesOf(portEntries(service, service.ports), () =>
    service.headless ? "the headless Service has no ready endpoint" : "the Service has no address",
  );
}

/** `_http._tcp`; CoreDNS takes the labels without underscores, too. */
function findPort(service: ServiceModel, name: string, protocol: string): Found {
  const ports = service.ports.filter(
    (port) => port.name === name && port.name !== "" && port.protocol.toLowerCase() === protocol,
  );
  const reason = (): string =>
    ports.length === 0
      ? `the Service has no ${protocol} port named ${name}`
      : "the port has no ready endpoint";
  return entriesOf(portEntries(service, ports), reason);
}

/** The name of one endpoint; or `_tcp`, which only leads to the ports below it. */
function findEndpoint(service: ServiceModel, label: string): Found {
  const protocol = label.startsWith("_") ? label.slice(1).toUpperCase() : undefined;
  const leads = service.ports.some((port) => port.protocol === protocol && port.name !== "");
  if (leads) return empty;
  const wanted = endpointEntries(service, service.ports).filter(
    (entry) => entry.target === `${label}.${baseOf(service)}`,
  );
  return entriesOf(wanted, () => `the Service has no ready endpoint named ${label}`);
}

function entriesOf(entries: readonly Entry[], reason: () => string): Found {
  return entries.length === 0 ? missing(reason()) : { kind: "entries", entries };
}

function portEntries(service: ServiceModel, ports: readonly ServicePort[]): Entry[] {
  return service.headless ? endpointEntries(service, ports) : addressEntries(service, ports);
}

function addressEntries(service: ServiceModel, ports: readonly ServicePort[]): Entry[] {
  const target = baseOf(service);
  return ports.flatMap(({ port }) => service.clusterIPs.map((address) => ({ address, port, target })));
}

function endpointEntries(service: ServiceModel, ports: readonly ServicePort[]): Entry[] {
  const base = baseOf(service);
  const entry = (endpoint: Endpoint, port: number | undefined): Entry => ({
    address: endpoint.address,
    port,
    target: `${endpointName(endpoint)}.${base}`,
  });
  return [
    ...ports.flatMap((port) => readyOf(port.endpoints).map((endpoint) => entry(endpoint, endpoint.port))),
    ...readyOf(service.portlessEndpoints ?? []).map((endpoint) => entry(endpoint, undefined)),
  ];
}

/** Endpoints that DNS may name: the ready ones, whatever the traffic policy. */
export function readyOf(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  return endpoints.filter((endpoint) => endpoint.ready);
}

/** An endpoint's own label below its Service: its hostname, else its address with dashes. */
export function endpointName(endpoint: Endpoint): string {
  if (endpoint.hostname !== undefined) return endpoint.hostname.toLowerCase();
  const dashed = endpoint.address.replaceAll(/[.:]/g, "-");
  return dashed.endsWith("-") ? `${dashed}0` : dashed;
}

/** `api-service.default.svc` */
export function baseOf(service: ServiceModel): string {
  return `${service.name}.${service.namespace}.svc`;
}

function unmarked(label: string): string {
  return label.startsWith("_") ? label.slice(1) : label;
}
