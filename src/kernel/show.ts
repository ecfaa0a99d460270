/** Devices and routes of a namespace as `ip` shows them. */
import { runOrThrow } from "./run.ts";
import type { NetNs } from "./types.ts";

export interface ShownLink {
  readonly mac: string;
  readonly mtu: number;
  readonly up: boolean;
  /** With prefix lengths: `10.244.0.2/32`. */
  readonly addresses: readonly string[];
  /** Neighbours that are set for good. */
  readonly neighbours: readonly { readonly address: string; readonly mac: string }[];
}

export interface ShownRoute {
  /** `default`, or a network; the prefix length of a single address is left out. */
  readonly to: string;
  readonly via?: string;
  readonly device?: string;
}

/** What `ip -j address` prints of a device. */
interface PrintedLink {
  readonly ifname: string;
  readonly address: string;
  readonly mtu: number;
  readonly flags: readonly string[];
  readonly addr_info: readonly { readonly local: string; readonly prefixlen: number }[];
}

/**
 * A device of a namespace; undefined if there is none of that name.
 * @throws InroadError `IpFailed`, `MissingProgram`
 */
export async function showLink(ns: NetNs | undefined, name: string): Promise<ShownLink | undefined> {
  const links = await show<PrintedLink>(ns, ["address"]);
  const link = links.find(({ ifname }) => ifname === name);
  if (link === undefined) return undefined;
  const words = ["neighbour", "show", "dev", name, "nud", "permanent"];
  const neighbours = await show<{ dst: string; lladdr: string }>(ns, words);
  return {
    mac: link.address,
    mtu: link.mtu,
    up: link.flags.includes("UP"),
    addresses: link.addr_info.map(({ local, prefixlen }) => `${local}/${prefixlen}`),
    neighbours: neighbours.map(({ dst, lladdr }) => ({ address: dst, mac: lladdr })),
  };
}

/**
 * The routes of a namespace's main table, of both families.
 * @throws InroadError `IpFailed`, `MissingProgram`
 */
export async function showRoutes(ns: NetNs | undefined): Promise<readonly ShownRoute[]> {
  const families = await Promise.all(
    ["-4", "-6"].map((family) =>
      show<{ dst: string; gateway?: string; dev?: string }>(ns, [family, "route"]),
    ),
  );
  return families.flat().map(({ dst, gateway, dev }) => ({
    to: dst,
    ...(gateway === undefined ? {} : { via: gateway }),
    ...(dev === undefined ? {} : { device: dev }),
  }));
}

async function show<T extends object>(
  ns: NetNs | undefined,
  words: readonly string[],
): Promise<readonly T[]> {
  const text = await runOrThrow(ns, "ip", ["-j", ...words], { code: "IpFailed" });
  // Some versions print nothing where there is nothing, and `{}` for what they leave out.
  const objects: readonly T[] = text.trim() === "" ? [] : JSON.parse(text);
  return objects.filter((object) => Object.keys(object).length > 0);
}
