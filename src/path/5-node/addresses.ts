import { InroadError } from "#lib/errors";
import { addressAt, ipv4ToNumber, numberToIPv4 } from "#lib/ip";
import { podRange } from "./plan.ts";

/** Addresses that stay unused after their release, so that late packets of an old pod do not meet a new one. */
const RESTING = 16;

export interface AddressPool {
  /** The lowest address that is free and rested, else the one that rested longest. Throws `NoAddress` when all are taken. */
  take(): string;
  /** Gives an address back; unknown ones are ignored. */
  release(address: string): void;
}

/** The pod addresses of one node. */
export function createAddressPool(podCIDR: string): AddressPool {
  const { first, last } = podRange(podCIDR);
  const taken = new Set<number>();
  /** Released, oldest first. */
  const resting: number[] = [];

  const lowestFree = (): number | undefined => {
    for (let value = first; value <= last; value += 1) {
      if (!taken.has(value) && !resting.includes(value)) return value;
    }
    return undefined;
  };

  return {
    take() {
      const value = lowestFree() ?? resting.shift();
      if (value === undefined) {
        throw new InroadError("NoAddress", `all pod addresses of ${podCIDR} are taken`);
      }
      taken.add(value);
      return numberToIPv4(value);
    },
    release(address) {
      const value = ipv4ToNumber(address);
      if (!taken.delete(value)) return;
      resting.push(value);
      if (resting.length > RESTING) resting.shift();
    },
  };
}

/** A pod has the same place in each pod CIDR of its node: 10.244.1.7 goes with fd00:10:244:1::7. */
export function addressesAt(podCIDRs: readonly string[], place: number): readonly string[] {
  return podCIDRs.map((cidr) => addressAt(cidr, place));
}
