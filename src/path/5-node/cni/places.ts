/** Which addresses of the node's networks pods may have: the same place in each family's. Pure. */
import { familyOf } from "#lib/ip";
import { addressesAt } from "../addresses.ts";

/** More pods are on no node; a /64 is not walked through. */
const mostPlaces = 2 ** 16;

/** The first two addresses and the last one of a network stay free, as everywhere in this hop. */
export function placesOf(podCIDRs: readonly string[]): { readonly first: number; readonly last: number } {
  const sizes = podCIDRs.map((cidr) => {
    const bits = (familyOf(cidr) === "IPv4" ? 32 : 128) - Number(cidr.split("/")[1]);
    return Math.min(2 ** bits, mostPlaces);
  });
  return { first: 2, last: Math.min(...sizes) - 2 };
}

/** A place in the networks, and the addresses there. */
interface Place {
  readonly place: number;
  readonly addresses: readonly string[];
}

/** The places that nobody has, beginning behind `previous`: an address that was given up rests as long as it can. */
export function* freePlaces(
  podCIDRs: readonly string[],
  taken: ReadonlySet<string>,
  previous: number,
): Generator<Place> {
  const { first, last } = placesOf(podCIDRs);
  const count = last - first + 1;
  const start = previous >= first && previous <= last ? previous + 1 - first : 0;
  for (let step = 0; step < count; step += 1) {
    const place = first + ((start + step) % count);
    const addresses = addressesAt(podCIDRs, place);
    if (!addresses.some((address) => taken.has(address))) yield { place, addresses };
  }
}
