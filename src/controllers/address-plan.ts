/** Which load-balancer addresses each Service has. Pure. */
import { isForeignClass, type AddressPool } from "#model";
import { objectKey } from "#client";
import { addressesOf, demandOf, isOf, readPool } from "./address-demand.ts";
import type { AddressProblem, Pool } from "./address-demand.ts";
import { createLedger } from "./address-ledger.ts";
import { byAge, byText, isDeleting, type Service } from "./objects.ts";

export interface AddressDecision {
  readonly service: Service;
  /** The addresses to have, in the order of the Service's families. */
  readonly addresses: readonly string[];
  /** Why there are not more. */
  readonly problems: readonly AddressProblem[];
}

/**
 * Decides over all Services together: who has an address of the pools keeps it, requested addresses come next, then the
 * others, oldest first, each the lowest free one of the first pool that has any, or one that is shared with others of the same
 * key. Services that are not ours to serve are not in the answer.
 */
export function planAddresses(
  services: readonly Service[],
  addressPools: readonly AddressPool[],
): AddressDecision[] {
  const pools = addressPools.map(readPool);
  const sorted = services.toSorted((a, b) => byText(objectKey(a), objectKey(b))).toSorted(byAge);
  const demands = sorted.filter(isOurs).map((service) => demandOf(service, pools));
  const ledger = createLedger();
  const waiting = demands.flatMap(({ claims }) => claims).filter((claim) => !ledger.keep(claim));
  for (const claim of waiting) if (claim.wanted !== undefined) ledger.grant(claim, claim.wanted);
  for (const claim of waiting) if (claim.wanted === undefined) ledger.choose(claim);
  return [
    ...sorted
      .filter((service) => isLeftover(service, pools))
      .map((service) => ({ service, addresses: [], problems: [] })),
    ...demands.map(({ service, claims, problems }) => ({
      service,
      addresses: claims.flatMap((claim) => ledger.given.get(claim) ?? []),
      problems: [...problems, ...claims.flatMap((claim) => ledger.refused.get(claim) ?? [])],
    })),
  ];
}

function isOurs(service: Service): boolean {
  const { type, loadBalancerClass } = service.spec ?? {};
  return type === "LoadBalancer" && !isDeleting(service) && !isForeignClass(loadBalancerClass);
}

/** It is no LoadBalancer any more, and still shows an address of ours. */
function isLeftover(service: Service, pools: readonly Pool[]): boolean {
  return (
    service.spec?.type !== "LoadBalancer" &&
    !isDeleting(service) &&
    addressesOf(service).some((address) => pools.some((pool) => isOf(pool, address)))
  );
}
