import { addressNumber, canonicalAddress, canonicalCidr, familyOf, numberAddress } from "#lib/ip";
import type { IpFamily } from "#lib/ip";

/** The addresses of one Service range, numbered from 0. */
export interface AddressRange {
  readonly cidr: string;
  readonly family: IpFamily;
  /** Addresses that automatic choice goes through, at most 2^32. */
  readonly size: number;
  /** How many of them, from the first, are left for addresses that people write down. */
  readonly reserved: number;
  addressAt(index: number): string;
  contains(address: string): boolean;
}

/** Automatic choice never needs more than that; a /64 has 2^64 addresses. */
const MOST = 2 ** 32;

/**
 * A Service range such as `10.96.0.0/16` or `fd00:10:96::/112`. The network's own address is never used, nor is the broadcast
 * address of an IPv4 network. The lower band is min(max(16, size/16), 256) addresses (KEP-3070). Throws for anything but a network.
 */
export function parseRange(text: string): AddressRange {
  const cidr = canonicalCidr(text);
  if (cidr === undefined)
    throw new Error(`${text} is not a network; write it like 10.96.0.0/16 or fd00:10:96::/112`);
  const [network = "", prefix] = cidr.split("/");
  const family = familyOf(network);
  const first = addressNumber(network) + 1n;
  const all = 2n ** BigInt((family === "IPv4" ? 32 : 128) - Number(prefix));
  const usable = all - (family === "IPv4" ? 2n : 1n);
  const size = Math.max(0, Math.min(Number(usable), MOST));
  return {
    cidr,
    family,
    size,
    reserved: Math.min(Math.max(16, Math.floor(size / 16)), 256),
    addressAt: (index) => numberAddress(first + BigInt(index), family),
    contains: (address) => {
      const canonical = canonicalAddress(address);
      if (canonical === undefined || familyOf(canonical) !== family) return false;
      const value = addressNumber(canonical);
      return value >= first && value < first + usable;
    },
  };
}
