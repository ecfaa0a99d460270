import { listAt, numberAt, textAt } from "./fields.ts";
import type { KubeObject } from "#kube";
import { canonicalAddress, familyOf } from "#lib/ip";
import type { IpFamily } from "#lib/ip";
import { parseRange } from "./address-range.ts";
import type { AddressRange } from "./address-range.ts";
import { DEFAULT_SERVICE_CIDR, IP_ADDRESSES, isOfService, SERVICE_CIDRS } from "./service-ranges.ts";
import type { Store } from "./store.ts";

/**
 * Which cluster addresses and node ports are taken. The claims are read off the stored Services
 * themselves, so there is nothing to release and nothing that can leak: choosing a value and storing
 * the Service happen in one turn.
 */
export interface Allocator {
  /** The families that there are addresses of, the default one first. */
  families(): readonly IpFamily[];
  /** Undefined when the address is free; else why not, in Kubernetes' words. */
  refuseAddress(address: string, owner: string): string | undefined;
  /** A free address; undefined when the ranges of the family are full. */
  nextAddress(family: IpFamily): string | undefined;
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

/** Addresses that a Service holds, canonical: none when it is headless or an ExternalName. */
export function addressesOf(service: KubeObject): string[] {
  const all = [textAt(service, "spec", "clusterIP"), ...listAt(service, "spec", "clusterIPs").map(String)];
  return [...new Set(all.flatMap((address) => canonicalAddress(address) ?? []))];
}

function portsOf(service: KubeObject): number[] {
  const ports = listAt(service, "spec", "ports").map((port) => numberAt(port, "nodePort"));
  return [
    ...new Set([...ports, numberAt(service, "spec", "healthCheckNodePort")].filter((port) => port > 0)),
  ];
}

/**
 * Follows the Services, ServiceCIDRs and IPAddresses of a store. Automatic choices come from the upper band of each range, so
 * that the lower one stays for values that people write down (KEP-3070 for addresses; KEP-3668: min(max(16, size/32), 128)
 * ports); when the upper band is full the lower one is used. They go round, so that a released value is not given out again
 * at once.
 * @param families the families that the cluster has Service addresses of, the default one first
 */
export function createAllocator(
  store: Store,
  families: readonly IpFamily[],
  nodePorts: PortRange,
): Allocator {
  const addresses = createClaims<string>();
  const ports = createClaims<number>();
  follow(store, "services", (object, gone) => {
    addresses.set(ownerOf(object), gone ? [] : addressesOf(object));
    ports.set(ownerOf(object), gone ? [] : portsOf(object));
  });
  const reserved = createClaims<string>();
  follow(store, IP_ADDRESSES, (object, gone) => {
    const name = object.metadata?.name ?? "";
    reserved.set(name, gone || isOfService(object) ? [] : [name]);
  });
  const ranges = followRanges(store);
  const isFree = (address: string, owner?: string): boolean =>
    addresses.free(address, owner) && reserved.free(address);

  const size = nodePorts.last - nodePorts.first + 1;
  const nextPort = createRound(size, Math.min(Math.max(16, Math.floor(size / 32)), 128));
  return {
    families: () => families,
    refuseAddress: (given, owner) => {
      const address = canonicalAddress(given) ?? given;
      const usable = ranges().filter(({ range }) => range.family === familyOf(address));
      if (!usable.some(({ range }) => range.contains(address))) {
        const known = usable.map(({ range }) => range.cidr).join(", ");
        return `the provided network does not match the current range: ${known}`;
      }
      return isFree(address, owner) ? undefined : "provided IP is already allocated";
    },
    nextAddress: (family) => {
      for (const { range, next } of ranges()) {
        if (range.family !== family) continue;
        const index = next((at) => isFree(range.addressAt(at)));
        if (index !== undefined) return range.addressAt(index);
      }
      return undefined;
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

/** Tells of every object that is there, and of every later change. */
function follow(store: Store, resource: string, tell: (object: KubeObject, gone: boolean) => void): void {
  for (const object of store.list(resource)) tell(object, false);
  store.watch(resource, undefined, store.revision(), ({ type, object }) => tell(object, type === "DELETED"));
}

interface RangeInUse {
  readonly range: AddressRange;
  readonly next: ReturnType<typeof createRound>;
}

/** The ranges of all ServiceCIDRs that are not on their way out, by name; the default one (`kubernetes`) first. */
function followRanges(store: Store): () => readonly RangeInUse[] {
  const byName = new Map<string, readonly RangeInUse[]>();
  let all: readonly RangeInUse[] = [];
  follow(store, SERVICE_CIDRS, (object, gone) => {
    const name = object.metadata?.name ?? "";
    const held = byName.get(name) ?? [];
    const cidrs = listAt(object, "spec", "cidrs").map(String);
    const inUse = (cidr: string): RangeInUse => {
      const range = parseRange(cidr);
      return (
        held.find((one) => one.range.cidr === range.cidr) ?? {
          range,
          next: createRound(range.size, range.reserved),
        }
      );
    };
    if (gone || object.metadata?.deletionTimestamp !== undefined) byName.delete(name);
    else byName.set(name, cidrs.map(inUse));
    const isOther = (one: string): number => Number(one !== DEFAULT_SERVICE_CIDR);
    const names = [...byName.keys()].sort((a, b) => isOther(a) - isOther(b) || (a < b ? -1 : 1));
    all = names.flatMap((one) => byName.get(one) ?? []);
  });
  return () => all;
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
  if (size <= 0) return () => undefined;
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
