/** How large a packet the path between two nodes really carries (packetization-layer discovery, RFC 4821, by echo requests). */

/** The least MTU of any link that carries IPv6 (RFC 8200, 5): pods never get less. */
export const leastPodMtu = 1280;
/** A packet that every path carries. */
const tiny = 64;

/**
 * The largest size, in bytes of a whole IP packet, that crosses: `most` if that does. Undefined when nothing crosses: then
 * nobody is there, which says nothing of sizes. Never less than `least`: what a smaller path lacks is not made up for.
 * @param crosses whether a packet of this size comes back; losses should be ruled out by repetition
 */
export async function measurePathMtu(
  crosses: (size: number) => Promise<boolean>,
  { least, most }: { readonly least: number; readonly most: number },
): Promise<number | undefined> {
  if (await crosses(most)) return most;
  if (!(await crosses(tiny))) return undefined;
  let good = least;
  let bad = most;
  while (bad - good > 1) {
    const middle = Math.floor((good + bad) / 2);
    if (await crosses(middle)) good = middle;
    else bad = middle;
  }
  return good;
}
