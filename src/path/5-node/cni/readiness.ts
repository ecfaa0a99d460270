/** STATUS: whether ADD can be served. */
import { getSysctl } from "#kernel";
import { messageOf } from "#lib/errors";
import { familyOf, type IpFamily } from "#lib/ip";
import type { Network, Settings } from "./config.ts";
import { CniError } from "./error.ts";
import { openReservations } from "./reservations.ts";

const forwarding: Readonly<Record<IpFamily, string>> = {
  IPv4: "net/ipv4/ip_forward",
  IPv6: "net/ipv6/conf/all/forwarding",
};

/** What keeps the node from forwarding packets of pods, and what to do. The switch is the node's, so it is only looked at. */
export function notForwarded(podCIDRs: readonly string[]): [message: string, details: string] | undefined {
  const off = podCIDRs
    .map((cidr) => forwarding[familyOf(cidr)])
    .filter((key) => getSysctl(undefined, key) !== "1");
  if (off.length === 0) return undefined;
  const names = off.map((key) => key.replaceAll("/", "."));
  return [
    `the node forwards no packets of pods: ${names.join(", ")} is off`,
    `sysctl -w ${names.map((name) => `${name}=1`).join(" ")}`,
  ];
}

/** @throws CniError `unavailable`, `limitedConnectivity` when ADD cannot be served */
export function checkReadiness({ name, dataDir }: Network, { podCIDRs }: Settings): void {
  const closed = notForwarded(podCIDRs);
  if (closed !== undefined) throw new CniError("limitedConnectivity", ...closed);
  let room: boolean;
  try {
    room = openReservations(dataDir, name).hasRoom(podCIDRs);
  } catch (error) {
    throw new CniError("unavailable", `addresses cannot be reserved: ${messageOf(error)}`);
  }
  if (!room) throw new CniError("unavailable", `all pod addresses of ${podCIDRs.join(" and ")} are taken`);
}
