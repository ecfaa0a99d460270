/** Who has which load-balancer address, while a plan is made. */
import { familyOf, numberAddress } from "#lib/ip";
import type { AddressRange } from "#lib/ip-range";
import { objectKey } from "#client";
import { addressesOf, isOf, poolsText } from "./address-demand.ts";
import type { AddressProblem, Claim } from "./address-demand.ts";
import { sharingObstacle } from "./address-sharing.ts";

export interface Ledger {
  readonly given: ReadonlyMap<Claim, string>;
  readonly refused: ReadonlyMap<Claim, AddressProblem>;
  /** Whether the Service goes on with the address that it has. */
  keep(claim: Claim): boolean;
  /** Gives the address that is asked for, if nobody else has it. */
  grant(claim: Claim, wanted: NonNullable<Claim["wanted"]>): void;
  /** Gives an address of the pools' choice, if there is one. */
  choose(claim: Claim): void;
}

export function createLedger(): Ledger {
  const holders = new Map<string, Claim[]>();
  const given = new Map<Claim, string>();
  const refused = new Map<Claim, AddressProblem>();
  /** What a pool has not given out yet; in one plan no address comes back. */
  const unseen = new Map<AddressRange, Iterator<string>>();

  /** Who keeps the Service from having this address. */
  const obstacleAt = (claim: Claim, address: string): Obstacle | undefined => {
    for (const holder of holders.get(address) ?? []) {
      const why = sharingObstacle(claim, holder);
      if (why !== undefined) return { holder, why };
    }
    return undefined;
  };
  const give = (claim: Claim, address: string): void => {
    holders.set(address, [...(holders.get(address) ?? []), claim]);
    given.set(claim, address);
  };
  const nextFree = (range: AddressRange): string | undefined => {
    const rest = unseen.get(range) ?? usableAddresses(range);
    unseen.set(range, rest);
    for (let next = rest.next(); next.done !== true; next = rest.next()) {
      if (!holders.has(next.value)) return next.value;
    }
    return undefined;
  };
  const shared = (claim: Claim): string | undefined =>
    claim.sharingKey === undefined
      ? undefined
      : [...holders.keys()].find(
          (address) =>
            familyOf(address) === claim.family &&
            claim.choice.some((pool) => isOf(pool, address)) &&
            obstacleAt(claim, address) === undefined,
        );
  const free = ({ choice, family }: Claim): string | undefined => {
    for (const range of choice.flatMap(({ ranges }) => ranges)) {
      const address = range.family === family ? nextFree(range) : undefined;
      if (address !== undefined) return address;
    }
    return undefined;
  };

  return {
    given,
    refused,
    keep(claim) {
      const held = addressesOf(claim.service).find((address) => familyOf(address) === claim.family);
      if (held === undefined || (claim.wanted?.address ?? held) !== held) return false;
      if (!claim.within.some((pool) => isOf(pool, held))) return false;
      if (obstacleAt(claim, held) !== undefined) return false;
      give(claim, held);
      return true;
    },
    grant(claim, wanted) {
      const obstacle = obstacleAt(claim, wanted.address);
      if (obstacle === undefined) give(claim, wanted.address);
      else refused.set(claim, taken(claim, wanted, obstacle));
    },
    choose(claim) {
      const address = shared(claim) ?? free(claim);
      if (address !== undefined) give(claim, address);
      else refused.set(claim, exhausted(claim));
    },
  };
}

interface Obstacle {
  readonly holder: Claim;
  readonly why: string;
}

function taken(
  { sharingKey }: Claim,
  { address, where }: NonNullable<Claim["wanted"]>,
  { holder, why }: Obstacle,
): AddressProblem {
  const owner = `${where}: ${address} belongs to Service ${objectKey(holder.service)}`;
  if (sharingKey === undefined) {
    return { reason: "AddressInUse", message: `${owner}; ask for another one, or for none` };
  }
  const message = `${owner} and cannot be shared with it: ${why}; change that, or ask for another address`;
  return { reason: "NotShareable", message };
}

function exhausted({ choice, family }: Claim): AddressProblem {
  const pools = poolsText(choice, family);
  const message =
    pools === ""
      ? `no address pool gives out ${family} addresses; add some to a pool, or take ${family} out of spec.ipFamilies`
      : `no ${family} address of ${pools} is free; delete a Service of type LoadBalancer, or add addresses to a pool`;
  return { reason: "AddressPoolExhausted", message };
}

/**
 * The addresses of a range that may be given out unasked, lowest first. Old network equipment takes .0 and .255 for a network's
 * own addresses, whatever its size; of IPv6, an address that ends in zeros may be that of all routers of a network (RFC 4291 2.6.1).
 */
function* usableAddresses({ family, first, last }: AddressRange): Generator<string> {
  for (let number = first; number <= last; number += 1n) {
    const address = numberAddress(number, family);
    const awkward = family === "IPv4" ? /\.(0|255)$/.test(address) : number % 65_536n === 0n;
    if (!awkward) yield address;
  }
}
