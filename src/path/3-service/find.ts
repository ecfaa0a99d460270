/** What a name of the cluster's zone stands for (Kubernetes DNS specification 1.1.0, with CoreDNS' choices). */
import { canonicalAddress, isIPv4, isIPv6 } from "#lib/ip";
import type { Endpoint, ServiceModel, Snapshot } from "#model";
import {
  baseOf,
  endpointEntries,
  entriesFrom,
  portEntries,
  serviceEntries,
  type Entries,
} from "./entries.ts";
import type { ZoneOptions } from "./options.ts";

/** The Service of the cluster DNS itself, by the convention of every Kubernetes distribution. */
export const dnsService = "kube-system/kube-dns";

export type Found =
  | { readonly kind: "entries"; readonly entries: Entries }
  | { readonly kind: "alias"; readonly target: string }
  | { readonly kind: "text"; readonly text: string }
  /** The name exists, or names below it do, but it has no records of its own. */
  | { readonly kind: "empty" }
  | { readonly kind: "missing"; readonly reason: string };

const empty: Found = { kind: "empty" };
const missing = (reason: string): Found => ({ kind: "missing", reason });

/** Looks a name up, given as lower-case labels left of the zone: `["api-service", "default", "svc"]`. */
export function find(snapshot: Snapshot, labels: readonly string[], options: ZoneOptions): Found {
  const kind = labels.at(-1);
  const namespace = labels.at(-2);
  if (kind === undefined) return empty;
  if (kind === "dns-version" && labels.length === 1) return { kind: "text", text: "1.1.0" };
  if (kind === "dns") return findNameServer(snapshot, labels);
  if (kind !== "svc" && kind !== "pod") return missing(`the zone has no ${kind}`);
  if (namespace === undefined) return empty;
  if (!snapshot.namespaces.has(namespace)) return missing(`there is no namespace ${namespace}`);
  if (!isExposed(namespace, options)) return missing(`names of namespace ${namespace} are not served`);
  if (kind === "pod") return findPod(snapshot, namespace, labels.slice(0, -2), options);
  const name = labels.at(-3);
  if (name === undefined) return empty;
  const service = snapshot.services.get(`${namespace}/${name}`);
  if (service === undefined) return missing(`there is no Service ${namespace}/${name}`);
  return findInService(service, labels.length > 3 ? labels.slice(0, -3) : [], options);
}

/** Whether the names of a namespace are served at all. */
export function isExposed(namespace: string, { namespaces }: ZoneOptions): boolean {
  return namespaces === undefined || namespaces.includes(namespace);
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
  return entries.length === 0 ? empty : { kind: "entries", entries: entriesFrom(entries) };
}

/** `10-244-0-5.NAMESPACE.pod`: any address, or only that of a pod of this namespace (CoreDNS' `pods insecure`, `verified`). */
function findPod(
  snapshot: Snapshot,
  namespace: string,
  labels: readonly string[],
  { pods = "insecure" }: ZoneOptions,
): Found {
  if (pods === "disabled") return missing("names of pods are not served");
  const name = labels.at(-1);
  if (name === undefined) return empty;
  const address = labels.length > 1 ? undefined : undashed(name);
  if (address === undefined) return missing(`${name} is no address with dashes`);
  if (pods === "verified" && snapshot.podsByAddress.get(address)?.namespace !== namespace) {
    return missing(`no pod of namespace ${namespace} has the address ${address}`);
  }
  const target = `${name}.${namespace}.pod`;
  return { kind: "entries", entries: entriesFrom([{ address, port: undefined, target }]) };
}

/** The address that is written with dashes, in canonical text. */
function undashed(name: string): string | undefined {
  return canonicalAddress(name.replaceAll("-", /^\d+-\d+-\d+-\d+$/.test(name) ? "." : ":"));
}

function findInService(service: ServiceModel, labels: readonly string[], options: ZoneOptions): Found {
  if (service.type === "ExternalName") return findAlias(service, labels);
  if (options.ignoreEmptyService === true && !service.headless && !hasReadyEndpoint(service)) {
    return missing("the Service has no ready endpoint, and empty Services are not served");
  }
  const zonal = options.zonal === true ? zoneOf(labels) : undefined;
  if (zonal !== undefined) return findInZone(service, zonal, options);
  const [first, second, ...more] = labels;
  if (more.length > 0) return missing("no record has so many labels");
  if (first !== undefined && second !== undefined) {
    return findPort(service, { name: unmarked(first), protocol: unmarked(second) }, options);
  }
  if (first !== undefined) return findEndpoint(service, first, options);
  return entriesOf(serviceEntries(service, options), () =>
    service.headless ? "the headless Service has no ready endpoint" : "the Service has no address",
  );
}

function findAlias(service: ServiceModel, labels: readonly string[]): Found {
  if (labels.length > 0) return missing("an ExternalName Service has no names below it");
  const target = service.externalName ?? "";
  const usable = target !== "" && !isIPv4(target) && !isIPv6(target);
  return usable ? { kind: "alias", target } : missing(`externalName "${target}" is no name`);
}

function hasReadyEndpoint(service: ServiceModel): boolean {
  return service.ports.some((port) => port.endpoints.some((endpoint) => endpoint.ready));
}

/** `_http._tcp`; CoreDNS takes the labels without underscores, too. */
function findPort(
  service: ServiceModel,
  { name, protocol }: { readonly name: string; readonly protocol: string },
  options: ZoneOptions,
): Found {
  const ports = service.ports.filter(
    (port) => port.name === name && port.name !== "" && port.protocol.toLowerCase() === protocol,
  );
  const reason = (): string =>
    ports.length === 0
      ? `the Service has no ${protocol} port named ${name}`
      : "the port has no ready endpoint";
  return entriesOf(portEntries(service, ports, options), reason);
}

/** The name of one endpoint; or `_tcp`, which only leads to the ports below it. */
function findEndpoint(service: ServiceModel, label: string, options: ZoneOptions): Found {
  const protocol = label.startsWith("_") ? label.slice(1).toUpperCase() : undefined;
  const leads = service.ports.some((port) => port.protocol === protocol && port.name !== "");
  if (leads) return empty;
  const target = `${label}.${baseOf(service)}`;
  const endpoints = service.headless
    ? serviceEntries(service, options).all()
    : endpointEntries(service, service.ports, options);
  const wanted = endpoints.filter((entry) => entry.target === target);
  return entriesOf(entriesFrom(wanted), () => `the Service has no ready endpoint named ${label}`);
}

interface ZonalName {
  readonly zone: string;
  readonly prefer: boolean;
}

/** `ZONE.pin._zone` or `ZONE.prefer._zone`; a zone's own name may have dots. */
function zoneOf(labels: readonly string[]): ZonalName | undefined {
  const directive = labels.at(-2);
  if (labels.length < 3 || labels.at(-1) !== "_zone") return undefined;
  if (directive !== "pin" && directive !== "prefer") return undefined;
  return { zone: labels.slice(0, -2).join("."), prefer: directive === "prefer" };
}

/** The endpoints of one topology zone; `prefer` takes all where it has none. Which zones exist is not known: none is missing. */
function findInZone(service: ServiceModel, { zone, prefer }: ZonalName, options: ZoneOptions): Found {
  if (!service.headless) return missing("only headless Services have names by zone");
  const isThere = (endpoint: Endpoint): boolean => endpoint.zone?.toLowerCase() === zone;
  const there: ServiceModel = {
    ...service,
    ports: service.ports.map((port) => ({ ...port, endpoints: port.endpoints.filter(isThere) })),
    portlessEndpoints: (service.portlessEndpoints ?? []).filter(isThere),
  };
  const near = endpointEntries(there, there.ports, options);
  const entries = near.length === 0 && prefer ? endpointEntries(service, service.ports, options) : near;
  return entries.length === 0 ? empty : { kind: "entries", entries: entriesFrom(entries) };
}

function entriesOf(entries: Entries, reason: () => string): Found {
  return entries.addresses.length === 0 ? missing(reason()) : { kind: "entries", entries };
}

function unmarked(label: string): string {
  return label.startsWith("_") ? label.slice(1) : label;
}
