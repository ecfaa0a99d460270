/** What ADD answers, in the form of each version (CNI specification 1.1.0, section 5, "ADD Success"). Pure. */
import { familyOf } from "#lib/ip";
import { hostNetwork, type PodLink } from "../pod-link.ts";
import { podGatewayMac, podGateways } from "../settings.ts";
import { isObject } from "./document.ts";
import type { Attachment } from "./environment.ts";
import { CniError } from "./error.ts";
import { compareVersions, type CniVersion } from "./versions.ts";

export type Dns = Readonly<Record<string, unknown>>;

export interface CniInterface {
  readonly name: string;
  readonly mac?: string;
  readonly mtu?: number;
  /** Path of the network namespace; absent on the host. */
  readonly sandbox?: string;
}

interface CniAddress {
  /** Until 0.4.0. */
  readonly version?: "4" | "6";
  readonly address: string;
  readonly gateway?: string;
  /** Index into the interfaces. */
  readonly interface?: number;
}

interface CniRoute {
  readonly dst: string;
  readonly gw?: string;
}

/** Other plugins' entries may have more fields, which are handed on. */
export interface CniResult {
  readonly interfaces: readonly CniInterface[];
  readonly ips: readonly CniAddress[];
  readonly routes: readonly CniRoute[];
  readonly dns: Dns;
}

/** An attachment's part of a result, behind what earlier plugins of the chain have made. */
export function buildResult(
  cniVersion: CniVersion,
  made: {
    readonly attachment: Attachment;
    readonly netns: string;
    readonly link: PodLink;
    readonly mtu: number;
  },
  dns: Dns,
  prevResult: CniResult = { interfaces: [], ips: [], routes: [], dns: {} },
): CniResult & { readonly cniVersion: CniVersion } {
  const { attachment, netns, link } = made;
  const mtu = compareVersions(cniVersion, "1.1.0") < 0 ? {} : { mtu: made.mtu };
  const before = prevResult.interfaces.length;
  return {
    cniVersion,
    interfaces: [
      ...prevResult.interfaces,
      { name: link.device, mac: podGatewayMac, ...mtu },
      { name: attachment.ifname, mac: link.mac, ...mtu, sandbox: netns },
    ],
    ips: [...prevResult.ips, ...link.addresses.map((address) => ipOf(cniVersion, address, before + 1))],
    routes: [...prevResult.routes, ...link.addresses.map(defaultRoute)],
    dns: { ...prevResult.dns, ...dns },
  };
}

function ipOf(cniVersion: CniVersion, address: string, index: number): CniAddress {
  const family = familyOf(address);
  const version = family === "IPv4" ? ("4" as const) : ("6" as const);
  return {
    ...(compareVersions(cniVersion, "1.0.0") < 0 ? { version } : {}),
    address: hostNetwork(address),
    gateway: podGateways[family],
    interface: index,
  };
}

function defaultRoute(address: string): CniRoute {
  const family = familyOf(address);
  return { dst: family === "IPv4" ? "0.0.0.0/0" : "::/0", gw: podGateways[family] };
}

/** A result of a supported version. Fields of which nothing is needed are not looked at. @throws CniError `badConfig` */
export function readResult(value: unknown): CniResult {
  if (!isObject(value)) throw wrong("prevResult", "an object");
  const { interfaces, ips, routes, dns = {} } = value;
  if (!isObject(dns)) throw wrong("prevResult.dns", "an object");
  return {
    interfaces: listOf(interfaces, "interfaces", isInterface),
    ips: listOf(ips, "ips", isAddress),
    routes: listOf(routes, "routes", isRoute),
    dns,
  };
}

function listOf<T extends object>(
  value: unknown,
  field: string,
  is: (one: object) => one is T,
): readonly T[] {
  // Go programs write null for an empty list.
  const list: unknown = value ?? [];
  if (!Array.isArray(list) || !list.every((one: unknown) => isObject(one) && is(one)))
    throw wrong(`prevResult.${field}`, "a list as ADD answers it");
  return list;
}

function isInterface(one: object): one is CniInterface {
  return (
    has(one, "name", "string", true) &&
    has(one, "mac", "string") &&
    has(one, "mtu", "number") &&
    has(one, "sandbox", "string")
  );
}

function isAddress(one: object): one is CniAddress {
  return (
    has(one, "address", "string", true) && has(one, "gateway", "string") && has(one, "interface", "number")
  );
}

function isRoute(one: object): one is CniRoute {
  return has(one, "dst", "string", true) && has(one, "gw", "string");
}

function has(one: object, field: string, type: "string" | "number", required = false): boolean {
  const value: unknown = Reflect.get(one, field);
  return value === undefined ? !required : typeof value === type;
}

function wrong(field: string, wanted: string): CniError {
  return new CniError("badConfig", `invalid ${field}`, `wanted: ${wanted}`);
}
