/** The addresses under a Service, and the names of its endpoints. */
import type { Endpoint, ServiceModel, ServicePort } from "#model";
import type { ZoneOptions } from "./options.ts";

/** An address under a name; `target` is the name that SRV records give it, relative to the zone. */
export interface Entry {
  readonly address: string;
  /** Undefined when the Service has no ports. */
  readonly port: number | undefined;
  readonly target: string;
}

/** What a name stands for. Most questions are for addresses, so the rest is made only when wanted. */
export interface Entries {
  /** May have duplicates. */
  readonly addresses: readonly string[];
  readonly all: () => readonly Entry[];
}

/** Entries that are there already. */
export function entriesFrom(all: readonly Entry[]): Entries {
  return { addresses: all.map(({ address }) => address), all: () => all };
}

/** Made once for each headless Service and choice of options, since it may have thousands of endpoints. */
const known = new WeakMap<ZoneOptions, WeakMap<ServiceModel, Entries>>();

/** What a whole Service stands for. */
export function serviceEntries(service: ServiceModel, options: ZoneOptions): Entries {
  if (!service.headless) return addressEntries(service, service.ports);
  let services = known.get(options);
  if (services === undefined) known.set(options, (services = new WeakMap()));
  let entries = services.get(service);
  if (entries === undefined) {
    entries = entriesFrom(endpointEntries(service, service.ports, options));
    services.set(service, entries);
  }
  return entries;
}

/** What some ports of a Service stand for: its endpoints if it is headless, else its own addresses. */
export function portEntries(
  service: ServiceModel,
  ports: readonly ServicePort[],
  options: ZoneOptions,
): Entries {
  if (!service.headless) return addressEntries(service, ports);
  return entriesFrom(endpointEntries(service, ports, options));
}

const nothing = entriesFrom([]);

/** A Service that has no ports at all still has its addresses; only SRV records need a port. */
function addressEntries(service: ServiceModel, ports: readonly ServicePort[]): Entries {
  const { clusterIPs } = service;
  const all = (): Entry[] => {
    const target = baseOf(service);
    const numbers = service.ports.length === 0 ? [undefined] : ports.map(({ port }) => port);
    return numbers.flatMap((port) => clusterIPs.map((address) => ({ address, port, target })));
  };
  return ports.length === 0 && service.ports.length > 0 ? nothing : { addresses: clusterIPs, all };
}

/** One entry per ready endpoint and port. */
export function endpointEntries(
  service: ServiceModel,
  ports: readonly ServicePort[],
  options: ZoneOptions,
): Entry[] {
  const base = baseOf(service);
  const entry = (endpoint: Endpoint, port: number | undefined): Entry => ({
    address: endpoint.address,
    port,
    target: `${endpointName(endpoint, options)}.${base}`,
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

/** An endpoint's own label below its Service: its hostname, its pod's name if so wished, else its address with dashes. */
export function endpointName(endpoint: Endpoint, { endpointPodNames }: ZoneOptions): string {
  if (endpoint.hostname !== undefined) return endpoint.hostname.toLowerCase();
  // A longer name is no label (RFC 1035 section 2.3.4).
  const pod = endpoint.pod?.name ?? "";
  if (endpointPodNames === true && pod !== "" && pod.length <= 63 && !pod.includes(".")) return pod;
  const dashed = endpoint.address.replaceAll(/[.:]/g, "-");
  return dashed.endsWith("-") ? `${dashed}0` : dashed;
}

/** `api-service.default.svc` */
export function baseOf(service: ServiceModel): string {
  return `${service.name}.${service.namespace}.svc`;
}
