/** ADD, DEL and GC: pod links of the same kind as the embedded cluster's, between this namespace and a container's. */
import {
  closeNetNs,
  hasLink,
  homeNetNs,
  ipBatch,
  isSameNetNs,
  openNetNs,
  setSysctls,
  type NetNs,
} from "#kernel";
import { codeOf, messageOf } from "#lib/errors";
import { familyOf } from "#lib/ip";
import { linkFor, planPod, type PodLink } from "../pod-link.ts";
import type { Network, Settings } from "./config.ts";
import type { Attachment } from "./environment.ts";
import { CniError } from "./error.ts";
import { notForwarded } from "./readiness.ts";
import { openReservations, type Reservation, type Reservations } from "./reservations.ts";

/** The link of an attachment, by the key under which the specification wants state to be kept. */
export function attachmentLink(
  network: string,
  { containerID, ifname }: Attachment,
  addresses: readonly string[],
): PodLink {
  return linkFor(`cni ${network}/${containerID}/${ifname}`, addresses);
}

/**
 * Gives a container an interface with addresses. What was made is undone when something fails.
 * @throws CniError, or what the kernel said
 */
export async function attach(
  network: Network,
  settings: Settings,
  attachment: Attachment,
  netns: string,
): Promise<PodLink> {
  const closed = notForwarded(settings.podCIDRs);
  if (closed !== undefined) throw new CniError("tryAgain", ...closed);
  const ns = openSandbox(netns);
  try {
    if (hasLink(ns, attachment.ifname))
      throw new CniError("badEnvironment", `CNI_IFNAME: the container has ${attachment.ifname} already`);
    return await build(network, settings, attachment, ns);
  } finally {
    closeNetNs(ns);
  }
}

/** @throws CniError `unknownContainer`, `badEnvironment` */
export function openSandbox(netns: string): NetNs {
  let ns: NetNs;
  try {
    ns = openNetNs(netns);
  } catch (error) {
    if (codeOf(error) === "ENOENT")
      throw new CniError("unknownContainer", `there is no network namespace ${netns}`);
    throw new CniError("badEnvironment", `invalid environment: CNI_NETNS (${messageOf(error)})`);
  }
  if (!isSameNetNs(ns, homeNetNs())) return ns;
  closeNetNs(ns);
  throw new CniError("badEnvironment", "invalid environment: CNI_NETNS is the node's own network namespace");
}

async function build(
  { name, dataDir }: Network,
  settings: Settings,
  attachment: Attachment,
  ns: NetNs,
): Promise<PodLink> {
  const reservations = openReservations(dataDir, name);
  const reservation = reserve(reservations, settings, attachment);
  const link = attachmentLink(name, attachment, reservation.addresses);
  const plan = planPod(link, settings.mtu, ns.path, attachment.ifname);
  const [device = "", ...rest] = plan.node;
  try {
    await ipBatch(homeNetNs(), [device]);
  } catch (error) {
    // A device of that name would be somebody else's.
    reservations.release(reservation);
    throw error;
  }
  try {
    enableIPv6(ns, attachment.ifname, link.addresses);
    await ipBatch(homeNetNs(), rest);
    await ipBatch(ns, plan.pod);
  } catch (error) {
    // What cannot be removed now keeps its reservation, by which DEL finds it.
    await clear(name, reservations, reservation).catch(() => undefined);
    throw error;
  }
  return link;
}

function reserve(reservations: Reservations, { podCIDRs }: Settings, attachment: Attachment): Reservation {
  const { containerID, ifname } = attachment;
  if (reservations.find(attachment) !== undefined) {
    throw new CniError(
      "attachedAlready",
      `${ifname} of ${containerID} is attached already`,
      "DEL comes before the next ADD",
    );
  }
  const reservation = reservations.reserve(attachment, podCIDRs);
  if (reservation !== undefined) return reservation;
  throw new CniError("tryAgain", `all pod addresses of ${podCIDRs.join(" and ")} are taken`);
}

/** Runtimes often switch IPv6 off for whatever device comes. */
function enableIPv6(ns: NetNs, ifname: string, addresses: readonly string[]): void {
  if (!addresses.some((address) => familyOf(address) === "IPv6")) return;
  setSysctls(ns, { [`net/ipv6/conf/${ifname}/disable_ipv6`]: "0" });
}

/**
 * Takes an attachment away; nothing is left to do when there is no reservation of it, since that is what ADD makes first.
 * The namespace is not needed: both ends of a link go together.
 */
export async function detach({ name, dataDir }: Network, attachment: Attachment): Promise<void> {
  const reservations = openReservations(dataDir, name);
  const reservation = reservations.find(attachment);
  if (reservation !== undefined) await clear(name, reservations, reservation);
}

async function clear(network: string, reservations: Reservations, reservation: Reservation): Promise<void> {
  const { attachment, addresses } = reservation;
  if (attachment !== undefined) {
    const { device } = attachmentLink(network, attachment, addresses);
    if (hasLink(homeNetNs(), device)) await removeLink(device);
  }
  reservations.release(reservation);
}

async function removeLink(device: string): Promise<void> {
  try {
    await ipBatch(homeNetNs(), [`link delete ${device}`]);
  } catch (error) {
    // The container's namespace may have ended meanwhile, and the link with it.
    if (hasLink(homeNetNs(), device)) throw error;
  }
}

/**
 * Takes away the network's attachments that are not in the list, as many as possible.
 * @throws CniError `failed` that names those which could not be removed
 */
export async function collect({ name, dataDir }: Network, valid: readonly Attachment[]): Promise<void> {
  const reservations = openReservations(dataDir, name);
  const keep = new Set(valid.map(keyOf));
  const stale = reservations
    .list()
    .filter(({ attachment }) => attachment === undefined || !keep.has(keyOf(attachment)));
  const problems: string[] = [];
  for (const reservation of stale) {
    await clear(name, reservations, reservation).catch((error: unknown) =>
      problems.push(`${reservation.file}: ${messageOf(error)}`),
    );
  }
  reservations.tidy();
  if (problems.length > 0) throw new CniError("failed", `not all could be removed: ${problems.join("; ")}`);
}

function keyOf({ containerID, ifname }: Attachment): string {
  return `${containerID}/${ifname}`;
}
