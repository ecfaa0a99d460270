/** Networks without their exceptions, as the disjoint ranges of addresses that an nftables set takes. */
import { addressNumber, familyOf, numberAddress } from "#lib/ip";
import type { IpFamily } from "#lib/ip";
import type { PolicyBlock } from "#model";

/** Of addresses or ports, both ends included. */
export interface Range {
  readonly first: bigint;
  readonly last: bigint;
}

/** What the blocks of one family cover together, as nft writes it: `10.0.0.0-10.0.3.255`, sorted and disjoint. */
export function blockRanges(blocks: readonly PolicyBlock[], family: IpFamily): string[] {
  const covered = blocks
    .filter(({ cidr }) => familyOf(cidr) === family)
    .flatMap(({ cidr, except }) => without([rangeOf(cidr)], except.map(rangeOf)));
  return merged(covered).map(({ first, last }) =>
    first === last
      ? numberAddress(first, family)
      : `${numberAddress(first, family)}-${numberAddress(last, family)}`,
  );
}

/** Sorts ranges and joins those that overlap or touch. */
export function merged(ranges: readonly Range[]): Range[] {
  const result: Range[] = [];
  for (const range of ranges.toSorted((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0))) {
    const last = result.at(-1);
    if (last === undefined || range.first > last.last + 1n) result.push(range);
    else if (range.last > last.last) result[result.length - 1] = { first: last.first, last: range.last };
  }
  return result;
}

function without(ranges: readonly Range[], holes: readonly Range[]): Range[] {
  return holes.reduce<Range[]>(
    (left, hole) =>
      left.flatMap((range) => {
        const before = { first: range.first, last: min(range.last, hole.first - 1n) };
        const after = { first: max(range.first, hole.last + 1n), last: range.last };
        return [before, after].filter(({ first, last }) => first <= last);
      }),
    [...ranges],
  );
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

/** A canonical CIDR: its host bits are clear. */
function rangeOf(cidr: string): Range {
  const [address = "", prefix] = cidr.split("/");
  const first = addressNumber(address);
  const hostBits = (familyOf(address) === "IPv4" ? 32 : 128) - Number(prefix);
  return { first, last: first + (1n << BigInt(hostBits)) - 1n };
}
