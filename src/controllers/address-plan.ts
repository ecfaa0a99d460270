/** Which load-balancer address each Service has. Pure. */
import { type Cidr, inCidr, numberToIPv4, parseCidr } from "#lib/ip";
import { objectKey } from "#client";
import { byAge, isDeleting, type Service } from "./objects.ts";

/** Services of another class belong to another implementation. */
const ownClass = "inroad.dev/load-balancer";

interface AddressProblem {
  readonly reason: "AddressPoolExhausted" | "AddressNotInPool" | "AddressInUse";
  readonly message: string;
}

export interface AddressDecision {
  readonly service: Service;
  /** The address to have; undefined for none. */
  readonly address: string | undefined;
  readonly problem?: AddressProblem;
}

/**
 * Decides over all Services together: who has an address of the pool keeps it, requested addresses
 * (spec.loadBalancerIP) come next, then the others, oldest first, each the lowest free one. Services that are not
 * ours to serve are not in the answer.
 */
export function planAddresses(services: readonly Service[], poolText: string): AddressDecision[] {
  const pool = parseCidr(poolText);
  const taken = new Map<string, Service>();
  const decisions: AddressDecision[] = [];
  const waiting: Service[] = [];
  const give = (service: Service, address: string): void => {
    taken.set(address, service);
    decisions.push({ service, address });
  };
  for (const service of services.toSorted(byAge)) {
    const held = addressOf(service);
    if (!isOurs(service)) {
      const leftover = held !== undefined && inCidr(held, pool) && !hasForeignClass(service);
      if (leftover && !isDeleting(service)) decisions.push({ service, address: undefined });
    } else if (
      held !== undefined &&
      inCidr(held, pool) &&
      !taken.has(held) &&
      (requested(service) ?? held) === held
    ) {
      give(service, held);
    } else {
      waiting.push(service);
    }
  }
  const demanding = waiting.filter((service) => requested(service) !== undefined);
  for (const service of demanding) {
    const address = requested(service) ?? "";
    const problem = refusal(address, pool, poolText, taken.get(address));
    if (problem === undefined) give(service, address);
    else decisions.push({ service, address: undefined, problem });
  }
  for (const service of waiting.filter((service) => requested(service) === undefined)) {
    const address = lowestFree(pool, taken);
    if (address !== undefined) give(service, address);
    else decisions.push({ service, address: undefined, problem: exhausted(poolText) });
  }
  return decisions;
}

/** The address that the Service's status shows. */
export function addressOf(service: Service): string | undefined {
  return service.status?.loadBalancer?.ingress?.[0]?.ip;
}

function requested(service: Service): string | undefined {
  return service.spec?.loadBalancerIP || undefined;
}

function hasForeignClass(service: Service): boolean {
  const { loadBalancerClass } = service.spec ?? {};
  return loadBalancerClass !== undefined && loadBalancerClass !== ownClass;
}

function isOurs(service: Service): boolean {
  return service.spec?.type === "LoadBalancer" && !isDeleting(service) && !hasForeignClass(service);
}

function refusal(
  address: string,
  pool: Cidr,
  poolText: string,
  owner: Service | undefined,
): AddressProblem | undefined {
  if (!inCidr(address, pool)) {
    const message = `spec.loadBalancerIP ${address} is not in the address pool ${poolText}; ask for one of the pool, or for none`;
    return { reason: "AddressNotInPool", message };
  }
  if (owner === undefined) return undefined;
  const message = `spec.loadBalancerIP ${address} belongs to Service ${objectKey(owner)}; ask for another one, or for none`;
  return { reason: "AddressInUse", message };
}

function exhausted(poolText: string): AddressProblem {
  const message = `no address of the pool ${poolText} is free; delete a Service of type LoadBalancer or use a larger pool`;
  return { reason: "AddressPoolExhausted", message };
}

function lowestFree(pool: Cidr, taken: ReadonlyMap<string, Service>): string | undefined {
  for (let offset = 0; offset < pool.size; offset += 1) {
    const address = numberToIPv4(pool.base + offset);
    // Old network equipment takes .0 and .255 for a network's own addresses, whatever its size.
    const awkward = /\.(0|255)$/.test(address);
    if (!awkward && !taken.has(address)) return address;
  }
  return undefined;
}
