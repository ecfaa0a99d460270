/** CHECK: whether what ADD made is still there. */
import {
  closeNetNs,
  homeNetNs,
  routeGet,
  showLink,
  showRoutes,
  type ShownLink,
  type ShownRoute,
} from "#kernel";
import { familyOf } from "#lib/ip";
import { hostNetwork, type PodLink } from "../pod-link.ts";
import { podGatewayMac, podGateways } from "../settings.ts";
import { attachmentLink, openSandbox } from "./attach.ts";
import type { Network } from "./config.ts";
import type { Attachment } from "./environment.ts";
import { CniError } from "./error.ts";
import { notForwarded } from "./readiness.ts";
import { openReservations } from "./reservations.ts";
import type { CniInterface, CniResult } from "./result.ts";

/** @throws CniError that says what is missing */
export async function check(
  { name, dataDir }: Network,
  attachment: Attachment,
  netns: string,
  prevResult: CniResult,
): Promise<void> {
  const ns = openSandbox(netns);
  try {
    const reservation = openReservations(dataDir, name).find(attachment);
    if (reservation === undefined)
      throw new CniError(
        "notReserved",
        `no address is reserved for ${attachment.ifname} of ${attachment.containerID}`,
      );
    const expected = expectedOf(
      attachment,
      attachmentLink(name, attachment, reservation.addresses),
      prevResult,
    );
    const closed = notForwarded(reservation.addresses);
    if (closed !== undefined) throw new CniError("badRoute", ...closed);
    compareInside(expected, await showLink(ns, attachment.ifname), await showRoutes(ns));
    await checkHost(expected);
  } finally {
    closeNetNs(ns);
  }
}

/** What must be there: a later plugin of the chain may have changed the container's interface, and says so in the result. */
export interface Expected {
  readonly link: PodLink;
  /** The container's interface as the result has it. */
  readonly inside: CniInterface;
  /** With prefix lengths. */
  readonly addresses: readonly string[];
  readonly gateways: readonly string[];
}

/** @throws CniError `badConfig` if the result is not of this attachment */
export function expectedOf(attachment: Attachment, link: PodLink, prevResult: CniResult): Expected {
  const index = prevResult.interfaces.findIndex(({ name, sandbox }) => name === attachment.ifname && sandbox);
  const inside = prevResult.interfaces[index];
  if (inside === undefined)
    throw new CniError(
      "badConfig",
      `invalid prevResult: it has no interface ${attachment.ifname} of a sandbox`,
    );
  const ips = prevResult.ips.filter((ip) => ip.interface === index);
  const missing = link.addresses.find((address) => !ips.some((ip) => ip.address === hostNetwork(address)));
  if (missing !== undefined)
    throw new CniError(
      "notReserved",
      `${missing} is reserved for the container, and prevResult does not have it`,
    );
  const addresses = ips.map((ip) => ip.address);
  return {
    link,
    inside,
    addresses,
    gateways: link.addresses.map((address) => podGateways[familyOf(address)]),
  };
}

/** @throws CniError `badInterface`, `badAddress`, `badRoute` */
export function compareInside(
  { inside, addresses, gateways }: Expected,
  link: ShownLink | undefined,
  routes: readonly ShownRoute[],
): void {
  const { name, mac, mtu } = inside;
  if (link === undefined) throw new CniError("badInterface", `the container has no ${name}`);
  if (!link.up) throw new CniError("badInterface", `${name} of the container is down`);
  if (mac !== undefined && link.mac !== mac.toLowerCase())
    throw new CniError("badInterface", `${name} of the container has MAC ${link.mac} instead of ${mac}`);
  if (mtu !== undefined && link.mtu !== mtu)
    throw new CniError("badInterface", `${name} of the container has MTU ${link.mtu} instead of ${mtu}`);
  const lost = addresses.find((address) => !link.addresses.includes(address));
  if (lost !== undefined) throw new CniError("badAddress", `${name} of the container has no ${lost}`);
  for (const gateway of gateways) {
    if (!routes.some(({ to, via, device }) => to === "default" && via === gateway && device === name))
      throw new CniError("badRoute", `the container has no default route by ${gateway}`);
    if (!knows(link, gateway, podGatewayMac))
      throw new CniError("badRoute", `the container does not know the MAC of its gateway ${gateway}`);
  }
}

function knows({ neighbours }: ShownLink, address: string, mac: string): boolean {
  return neighbours.some((one) => one.address === address && one.mac === mac);
}

async function checkHost({ link, inside }: Expected): Promise<void> {
  const { device, addresses } = link;
  const shown = await showLink(homeNetNs(), device);
  if (shown === undefined) throw new CniError("badInterface", `the node has no ${device}`);
  if (!shown.up) throw new CniError("badInterface", `${device} of the node is down`);
  for (const address of addresses) {
    const route = await routeGet(homeNetNs(), address).catch(() => undefined);
    if (route?.device !== device)
      throw new CniError("badRoute", `the node's route to ${address} is not by ${device}`);
    if (!knows(shown, address, inside.mac ?? link.mac))
      throw new CniError("badRoute", `the node does not know the MAC of ${address}`);
  }
}
