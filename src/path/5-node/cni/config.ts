/** The network configuration on stdin (CNI specification 1.1.0, sections 1 and 3). Pure. */
import { canonicalCidr, familyOf } from "#lib/ip";
import { podMtu } from "../plan.ts";
import { defaultSettings } from "../settings.ts";
import { isObject, type Document } from "./document.ts";
import { isContainerID, isInterfaceName, type Attachment, type Command } from "./environment.ts";
import { CniError } from "./error.ts";
import { placesOf } from "./places.ts";
import { readResult, type CniResult, type Dns } from "./result.ts";
import { compareVersions, supportedVersions, type CniVersion } from "./versions.ts";

/** What every command but VERSION needs. */
export interface Network {
  readonly cniVersion: CniVersion;
  readonly name: string;
  /** Where reservations of addresses are kept, one folder for each network. */
  readonly dataDir: string;
}

/** What it takes to attach a container. */
export interface Settings {
  /** One of each family at most, the primary one first. */
  readonly podCIDRs: readonly string[];
  readonly mtu: number;
  readonly dns: Dns;
}

const defaultDataDir = "/var/lib/cni/inroad";

/** Since when there is a command. */
const since: Readonly<Record<Command, CniVersion>> = {
  ADD: "0.3.1",
  DEL: "0.3.1",
  VERSION: "0.3.1",
  CHECK: "0.4.0",
  STATUS: "1.1.0",
  GC: "1.1.0",
};

/** @throws CniError `incompatibleVersion`, `badConfig` */
export function readNetwork(document: Document, command: Command): Network {
  const { cniVersion, name, ipam } = document;
  const version = supportedVersions.find((one) => one === cniVersion);
  if (version === undefined || compareVersions(version, since[command]) < 0) {
    throw new CniError(
      "incompatibleVersion",
      `${command} of the configuration's cniVersion ${JSON.stringify(cniVersion)} is not supported`,
      `set cniVersion to one of ${supportedVersions.filter((one) => compareVersions(one, since[command]) >= 0).join(", ")}`,
    );
  }
  if (typeof name !== "string" || !isContainerID(name) || name.length > 200)
    throw bad("name", name, "letters and digits first, then also _ . -");
  const dataDir = isObject(ipam) ? (ipam["dataDir"] ?? defaultDataDir) : defaultDataDir;
  if (typeof dataDir !== "string" || !dataDir.startsWith("/") || dataDir.includes("\0"))
    throw bad("ipam.dataDir", dataDir, "an absolute path");
  return { cniVersion: version, name, dataDir };
}

/** Fields that mean something here, or that are the runtime's business. */
const known = new Set([
  ...["cniVersion", "cniVersions", "name", "type", "disableCheck", "disableGC", "prevResult"],
  ...["ipam", "dns", "mtu", "capabilities", "runtimeConfig", "args", "ipMasq"],
]);
const knownInIpam = new Set(["type", "subnet", "ranges", "dataDir"]);

/** @throws CniError `unsupportedField` for whatever would be ignored otherwise, `badConfig` */
export function readSettings(document: Document): Settings {
  const { ipam, mtu = podMtu(defaultSettings), dns } = document;
  refuseUnsupported(document);
  if (!isObject(ipam))
    throw bad("ipam", ipam, 'an object such as {"type": "host-local", "subnet": "10.244.0.0/24"}');
  if (ipam["type"] === undefined) throw bad("ipam.type", undefined, "host-local");
  if (ipam["type"] !== "host-local") throw unsupported("ipam.type", ipam["type"]);
  for (const [key, value] of Object.entries(ipam))
    if (!knownInIpam.has(key)) throw unsupported(`ipam.${key}`, value);
  const podCIDRs = readRanges(ipam);
  const least = podCIDRs.some((cidr) => familyOf(cidr) === "IPv6") ? 1280 : 68;
  if (typeof mtu !== "number" || !Number.isInteger(mtu) || mtu < least || mtu > 65_535)
    throw bad("mtu", mtu, `from ${least} to 65535`);
  return { podCIDRs, mtu, dns: readDns(dns) };
}

function refuseUnsupported(document: Document): void {
  for (const [key, value] of Object.entries(document)) {
    if (!known.has(key) && !key.startsWith("cni.dev/")) throw unsupported(key, value);
  }
  if (document["ipMasq"] !== undefined && document["ipMasq"] !== false)
    throw unsupported("ipMasq", document["ipMasq"]);
  for (const field of ["capabilities", "runtimeConfig", "args"]) {
    const value = document[field] ?? {};
    if (!isObject(value)) throw bad(field, value, "an object");
    for (const [key, wanted] of Object.entries(value)) {
      if (wanted !== false) throw unsupported(`${field}.${key}`, wanted);
    }
  }
}

/** `subnet`, or `ranges` as host-local has them, with one subnet for each family. */
function readRanges({ subnet, ranges }: Document): readonly string[] {
  if (ranges !== undefined && (subnet !== undefined || !Array.isArray(ranges)))
    throw bad("ipam.ranges", ranges, "a list, and without ipam.subnet beside it");
  const sets: readonly unknown[] = Array.isArray(ranges) ? ranges : [[{ subnet }]];
  const cidrs = sets.map((set) => readRange(set));
  const families = new Set(cidrs.map(familyOf));
  if (cidrs.length === 0 || families.size < cidrs.length)
    throw bad("ipam.ranges", ranges, "one range for IPv4, one for IPv6, or both");
  const { first, last } = placesOf(cidrs);
  if (last < first) throw bad("ipam", cidrs, "networks with room for a pod: /29 or larger (IPv6 /125)");
  return cidrs;
}

function readRange(set: unknown): string {
  const range: unknown = Array.isArray(set) && set.length === 1 ? set[0] : undefined;
  if (!isObject(range))
    throw bad("ipam.ranges", set, 'a list with one range such as [{"subnet": "10.244.0.0/24"}]');
  for (const [key, value] of Object.entries(range))
    if (key !== "subnet") throw unsupported(`ipam.ranges.${key}`, value);
  const { subnet } = range;
  const cidr = typeof subnet === "string" ? canonicalCidr(subnet) : undefined;
  if (cidr === undefined)
    throw bad("ipam.subnet", subnet, "a network such as 10.244.0.0/24 or fd00:10:244::/64");
  return cidr;
}

const dnsLists = ["nameservers", "search", "options"] as const;

/** Handed through to the runtime, which writes the container's resolv.conf. */
function readDns(value: unknown = {}): Dns {
  if (!isObject(value)) throw bad("dns", value, "an object");
  for (const [key, part] of Object.entries(value)) {
    const fits = dnsLists.some((one) => one === key)
      ? Array.isArray(part) && part.every((one) => typeof one === "string")
      : key === "domain" && typeof part === "string";
    if (!fits) throw bad(`dns.${key}`, part, `lists of texts (${dnsLists.join(", ")}), and domain`);
  }
  return value;
}

/** The result of the plugins before this one (ADD), or of the whole ADD (CHECK). @throws CniError `badConfig` */
export function readPrevResult({ prevResult }: Document): CniResult | undefined {
  return prevResult === undefined ? undefined : readResult(prevResult);
}

/** @throws CniError `badConfig` if anything in the list is no attachment: nothing may be removed by mistake */
export function readValidAttachments(document: Document): readonly Attachment[] {
  const field = "cni.dev/valid-attachments";
  const list = document[field];
  if (!Array.isArray(list)) throw bad(field, list, "a list, without which nothing is removed");
  return list.map((one: unknown) => {
    const { containerID, ifname } = isObject(one) ? one : {};
    if (typeof containerID !== "string" || !isContainerID(containerID))
      throw bad(field, one, "objects with containerID and ifname");
    if (typeof ifname !== "string" || !isInterfaceName(ifname))
      throw bad(field, one, "objects with containerID and ifname");
    return { containerID, ifname };
  });
}

function bad(field: string, value: unknown, wanted: string): CniError {
  return new CniError("badConfig", `invalid ${field}: ${excerpt(value)}`, `wanted: ${wanted}`);
}

/** By the specification the message has the key and the value. */
function unsupported(field: string, value: unknown): CniError {
  return new CniError("unsupportedField", `unsupported field ${field}: ${excerpt(value)}`);
}

function excerpt(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length <= 200 ? text : `${text.slice(0, 200)}...`;
}
