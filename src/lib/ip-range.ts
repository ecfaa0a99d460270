/** Ranges of addresses that need not be networks: `203.0.113.200-203.0.113.210`. */
import {
  addressNumber,
  canonicalAddress,
  canonicalCidr,
  familyOf,
  numberAddress,
  type IpFamily,
} from "./ip.ts";

export interface AddressRange {
  readonly family: IpFamily;
  /** First and last address, as numbers. */
  readonly first: bigint;
  readonly last: bigint;
}

const bitsOf: Readonly<Record<IpFamily, number>> = { IPv4: 32, IPv6: 128 };

/**
 * `203.0.113.128/25`, `203.0.113.200-203.0.113.210` (both ends belong to it), or the same of IPv6; undefined for anything
 * else, also for a network with host bits (`203.0.113.129/25`): its writer may have meant one address, or all.
 */
export function parseRange(text: string): AddressRange | undefined {
  return text.includes("/") ? networkRange(text) : rangeBetween(text.split("-"));
}

function networkRange(text: string): AddressRange | undefined {
  const [address = "", prefix = ""] = (canonicalCidr(text) ?? "").split("/");
  if (address === "" || canonicalAddress(text.split("/")[0] ?? "") !== address) return undefined;
  const family = familyOf(address);
  const first = addressNumber(address);
  return { family, first, last: first + 2n ** BigInt(bitsOf[family] - Number(prefix)) - 1n };
}

function rangeBetween(ends: readonly string[]): AddressRange | undefined {
  const [first, last, ...more] = ends.map((end) => canonicalAddress(end.trim()));
  if (first === undefined || last === undefined || more.length > 0) return undefined;
  if (familyOf(first) !== familyOf(last) || addressNumber(first) > addressNumber(last)) return undefined;
  return { family: familyOf(first), first: addressNumber(first), last: addressNumber(last) };
}

/** Whether an address (any canonical or other spelling) lies in a range. */
export function isInRange(address: string, { family, first, last }: AddressRange): boolean {
  if (canonicalAddress(address) === undefined || familyOf(address) !== family) return false;
  const number = addressNumber(address);
  return number >= first && number <= last;
}

export function rangesOverlap(a: AddressRange, b: AddressRange): boolean {
  return a.family === b.family && a.first <= b.last && b.first <= a.last;
}

/** The fewest networks that are a range together, in order: at most 62 of IPv4, 254 of IPv6. */
export function networksOf({ family, first, last }: AddressRange): string[] {
  const networks: string[] = [];
  for (let base = first; base <= last;) {
    let bits = 0n;
    const fits = (size: bigint): boolean => base % size === 0n && base + size - 1n <= last;
    while (bits < BigInt(bitsOf[family]) && fits(2n ** (bits + 1n))) bits += 1n;
    networks.push(`${numberAddress(base, family)}/${BigInt(bitsOf[family]) - bits}`);
    base += 2n ** bits;
  }
  return networks;
}
