import { listAt, numberAt, textAt } from "./fields.ts";
import type { KubeObject } from "#kube";
import { numberToIPv4, ipv4ToNumber, parseCidr } from "#lib/ip";
import type { Store } from "./store.ts";

/**
 * Which cluster addresses and node ports are taken. The claims are read off the stored Services
 * themselves, so there is nothing to release and nothing that can leak: choosing a value and storing
 * the Service happen in one turn.
 */
export interface Allocator {
  /** Undefined when the address is free; else why not, in Kubernetes' words. */
  refuseAddress(address: string, owner: string): string | undefined;
  /** A free address; undefined when the range is full. */
  nextAddress(): string | undefined;
  refusePort(port: number, owner: string): string | undefined;
  nextPort(taken: ReadonlySet<number>): number | undefined;
}

export interface PortRange {
  /** Inclusive. */
  readonly first: number;
  /** Inclusive. */
  readonly last: number;
}

/** `namespace/name` of a Service. */
export function ownerOf(service: KubeObject): string {
  return `${service.metadata?.namespace ?? ""}/${service.metadata?.name ?? ""}`;
}

/** Addresses that a Service holds: none when it is headless or an ExternalName. */
function addressesOf(service: KubeObject): string[] {
  const all = [textAt(service, "spec", "clusterIP"), ...listAt(service, "spec", "clusterIPs").map(String)];
  return [...new Set(all.filter((address) => address !== "" && address !== "None"))];
}

function portsOf(service: KubeObject): number[] {
  const ports = listAt(service, "spec", "ports").map((port) => numberAt(port, "nodePort"));
  return [
    ...new Set([...ports, numberAt(service, "spec", "healthCheckNodePort")].filter((port) => port > 0)),
  ];
}

/**
 * Follows the Services of a store. Automatic choices come from the upper band of each range, so that
 * the lower one stays for values that people write down (KEP-3070: min(max(16, size/16), 256) addresses;
 * KEP-3668: min(max(16, size/32), 128) ports); when the upper band is full the lower one is used.
 * They go round, so that a released value is not given out again at once.
 */
export function createAllocator(store: Store, serviceCIDR: string, nodePorts: PortRange): Allocator {
  const range = parseCidr(serviceCIDR);
  const addresses = createClaims<string>();
  const ports = createClaims<number>();
  const claim = (service: KubeObject): void => {
    addresses.set(ownerOf(service), addressesOf(service));
    ports.set(ownerOf(service), portsOf(service));
  };
  for (const service of store.list("services")) claim(service);
  store.watch("services", undefined, store.revision(), ({ type, object }) => {
    if (type !== "DELETED") return claim(object);
    addresses.set(ownerOf(object), []);
    ports.set(ownerOf(object), []);
  });

  // The network's own address and its last one are never used.
  const usable = range.size - 2;
  const nextAddress = createRound(usable, Math.min(Math.max(16, Math.floor(range.size / 16)), 256));
  const size = nodePorts.last - nodePorts.first + 1;
  const nextPort = createRound(size, Math.min(Math.max(16, Math.floor(size / 32)), 128));
  const addressAt = (index: number): string => numberToIPv4(range.base + 1 + index);

  return {
    refuseAddress: (address, owner) => {
      const index = ipv4ToNumber(address) - range.base - 1;
      if (index < 0 || index >= usable) {
        return `the provided network does not match the current range: ${serviceCIDR}`;
      }
      return addresses.free(address, owner) ? undefined : "provided IP is already allocated";
    },
    nextAddress: () => {
      const index = nextAddress((at) => addresses.free(addressAt(at)));
      return index === undefined ? undefined : addressAt(index);
    },
    refusePort: (port, owner) => {
      if (port < nodePorts.first || port > nodePorts.last) {
        return `provided port is not in the valid range. The range of valid ports is ${nodePorts.first}-${nodePorts.last}`;
      }
      return ports.free(port, owner) ? undefined : "provided port is already allocated";
    },
    nextPort: (taken) => {
      const at = nextPort((index) => {
        const port = nodePorts.first + index;
        return !taken.has(port) && ports.free(port);
      });
      return at === undefined ? undefined : nodePorts.first + at;
    },
  };
}

/** Values by owner and owners by value. */
function createClaims<T>(): {
  set(owner: string, values: readonly T[]): void;
  free(value: T, except?: string): boolean;
} {
  const owners = new Map<T, string>();
  const held = new Map<string, readonly T[]>();
  return {
    set: (owner, values) => {
      for (const value of held.get(owner) ?? []) if (owners.get(value) === owner) owners.delete(value);
      for (const value of values) owners.set(value, owner);
      if (values.length === 0) held.delete(owner);
      else held.set(owner, values);
    },
    free: (value, except) => {
      const owner = owners.get(value);
      return owner === undefined || owner === except;
    },
  };
}

/** Goes round the upper band of 0..size-1 from where it stopped, then down the lower band. */
function createRound(size: number, reserved: number): (free: (at: number) => boolean) => number | undefined {
  const low = Math.min(reserved, size - 1);
  const span = size - low;
  let position = 0;
  return (free) => {
    for (let step = 0; step < span; step++) {
      const at = low + ((position + step) % span);
      if (!free(at)) continue;
      position = at - low + 1;
      return at;
    }
    for (let at = low - 1; at >= 0; at--) if (free(at)) return at;
    return undefined;
  };
}
