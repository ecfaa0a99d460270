/**
 * Addresses of a cluster as loopback addresses of this host: what namespaces are for, where there are none. Every address of
 * the cluster has an image in 127.0.0.0/8, by arithmetic alone, so that all threads agree without asking each other.
 */
import { InroadError } from "#lib/errors";
import { ipv4ToNumber, isIPv4, numberToIPv4, parseCidr } from "#lib/ip";
import { plannedPort, portIn } from "./port-table.ts";
import type { PortTable } from "./port-table.ts";
import type { LoopbackPlace, NetPlace } from "./types.ts";

/** How addresses and ports of one cluster are mapped; it can be handed to Workers. */
export interface LoopbackMap {
  readonly networks: readonly MappedNetwork[];
  /** Whether ports below 1024 are moved up, since this process may not listen on them. */
  readonly moved: boolean;
  /** Ports that are listened on elsewhere than at their image; undefined: none ever is. */
  readonly ports?: Readonly<Record<Transport, PortTable>>;
}

export type Transport = "TCP" | "UDP";

/** A network of the cluster and its image, each by its first address, as numbers. */
export interface MappedNetwork {
  readonly first: number;
  readonly image: number;
  readonly size: number;
}

export interface End {
  readonly address: string;
  readonly port: number;
}

const lastPrivileged = 1023;
/** Port p below 1024 becomes p + 64512: above the ephemeral ports of Linux (ip_local_port_range ends at 60999). */
const movedBy = 64_512;

/** So many clusters have room beside each other, in three networks of /16 each: from 127.4.0.0 to 127.252.255.255. */
export const mostClusters = 83;
const room = 3 * 0x10000;
const firstImage = ipv4ToNumber("127.4.0.0");

/**
 * The images of a cluster's networks, side by side, the largest first. The last 256 addresses of its room stay free.
 * @throws InroadError `NoRoom` when they are more than 127.0.0.0/8 has for a cluster
 */
export function layOut(index: number, networks: readonly string[]): readonly MappedNetwork[] {
  let image = firstImage + (index % mostClusters) * room;
  const end = image + room - 256;
  return networks
    .map(parseCidr)
    .toSorted((a, b) => b.size - a.size)
    .map(({ base, size }) => {
      const mapped = { first: base, size, image };
      image += size;
      if (image <= end) return mapped;
      throw new InroadError(
        "NoRoom",
        `${networks.join(", ")} are too many addresses for --proxy-mode userspace`,
        {
          mend: "Services and pods may have a /16 each, the load balancer's pools a /17 together",
        },
      );
    });
}

/** An address of the cluster's room that is nobody's image. */
export function spareImage({ networks }: Pick<LoopbackMap, "networks">): string {
  const first = Math.min(...networks.map(({ image }) => image));
  return numberToIPv4(first + room - 2);
}

/** Port of the image that no port of the cluster has: there is the client proxy of a place. */
export const clientProxyPort = movedBy;

export function isLoopback(place: NetPlace | undefined): place is LoopbackPlace {
  return place !== undefined && "map" in place;
}

/** The image of an address of the cluster; undefined for all others, which are reached as they are. */
export function imageOf({ networks }: Pick<LoopbackMap, "networks">, address: string): string | undefined {
  if (!isIPv4(address)) return undefined;
  const number = ipv4ToNumber(address);
  const network = networks.find(({ first, size }) => number >= first && number < first + size);
  return network && numberToIPv4(network.image + number - network.first);
}

/** The address that an image stands for; any other address is itself. */
export function originOf({ networks }: Pick<LoopbackMap, "networks">, address: string): string {
  if (!isIPv4(address)) return address;
  const number = ipv4ToNumber(address);
  const network = networks.find(({ image, size }) => number >= image && number < image + size);
  return network === undefined ? address : numberToIPv4(network.first + number - network.image);
}

/** The port at which a port of the cluster is listened on. */
export function imagePort({ moved }: Pick<LoopbackMap, "moved">, port: number): number {
  return moved && port > 0 && port <= lastPrivileged ? port + movedBy : port;
}

/** Where to connect to for an address and port; `own` when that is in this cluster, be it named by its image. */
export function imageEnd(
  map: LoopbackMap,
  address: string,
  port: number,
  transport: Transport = "TCP",
): End & { readonly own: boolean } {
  const image = imageOf(map, address);
  if (image === undefined) return { address, port, own: originOf(map, address) !== address };
  const elsewhere = map.ports && portIn(map.ports[transport], address, port);
  return { address: image, port: elsewhere ?? imagePort(map, port), own: true };
}

/** What an end of a socket is in the cluster. */
export function originEnd(map: LoopbackMap, { address, port }: End, transport: Transport = "TCP"): End {
  const origin = originOf(map, address);
  if (origin === address) return { address, port };
  const planned = map.ports && plannedPort(map.ports[transport], origin, port);
  return { address: origin, port: planned ?? (map.moved && port > movedBy ? port - movedBy : port) };
}

/**
 * The address of the cluster at which a place listens: `0.0.0.0` and its loopback are its own address only, since all places
 * share one network.
 */
export function listenAddress(place: LoopbackPlace, address: string): string {
  const wanted = ["0.0.0.0", "127.0.0.1"].includes(address) ? place.address : address;
  if (imageOf(place.map, wanted) !== undefined) return wanted;
  throw new InroadError("EADDRNOTAVAIL", `${wanted} is no address of the cluster, nor of this host`);
}
