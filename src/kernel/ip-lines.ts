/**
 * The common lines of `ip` and `bridge` as rtnetlink messages: what makes links, addresses, routes and neighbours.
 * Anything else is left to the programs. Pure but for the look-ups it is given.
 */
import ipaddr from "ipaddr.js";
import { canonicalAddress, familyOf, isIPv4, type IpFamily } from "#lib/ip";
import { attribute, linkHeader, message, requestFlags, text, u16, u32, u8 } from "./netlink-bytes.ts";

/** What the namespace knows; called while the line is carried out. */
export interface Lookups {
  /** Index of a device; throws `ENODEV`. */
  index(device: string): number;
  /** A descriptor of the namespace at a path, to be closed by whoever gives it. */
  namespace(path: string): number;
}

export type Encoder = (lookups: Lookups) => Buffer;

const { create, exclusive, replace } = requestFlags;
const AF_BRIDGE = 7;
const families: Readonly<Record<IpFamily, number>> = { IPv4: 2, IPv6: 10 };

/**
 * What the line means; undefined when only the program knows. Nothing is checked that the kernel checks. A rule without
 * addresses is one of IPv6 behind `-6`, which no batch of the program takes.
 */
export function encodeLine(program: "ip" | "bridge", line: string): Encoder | undefined {
  const words = line.split(" ");
  const length = words[0] === "-6" ? 3 : 2;
  return tables[program][words.slice(0, length).join(" ")]?.(words.slice(length));
}

const RTM_NEWRULE = 32;
const RTM_DELRULE = 33;

type Reader = (words: readonly string[]) => Encoder | undefined;

const tables: Readonly<Record<"ip" | "bridge", Readonly<Record<string, Reader>>>> = {
  ip: {
    "link add": addLink,
    "link set": setLink,
    "address add": addAddress,
    "route add": (words) => route(create | exclusive, words),
    "route replace": (words) => route(create | replace, words),
    "rule add": rule(RTM_NEWRULE, create | exclusive, "IPv4"),
    "rule del": rule(RTM_DELRULE, 0, "IPv4"),
    "-6 rule add": rule(RTM_NEWRULE, create | exclusive, "IPv6"),
    "-6 rule del": rule(RTM_DELRULE, 0, "IPv6"),
    "neighbour replace": replaceNeighbour,
  },
  bridge: { "fdb replace": replaceForwarding },
};

/** Reads `key value` pairs and bare flags; undefined if a word is neither. */
function options(
  words: readonly string[],
  keys: readonly string[],
  flags: readonly string[] = [],
): ReadonlyMap<string, string> | undefined {
  const found = new Map<string, string>();
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? "";
    if (flags.includes(word)) found.set(word, "");
    else if (keys.includes(word) && at + 1 < words.length) {
      at += 1;
      found.set(word, words[at] ?? "");
    } else return undefined;
  }
  return found;
}

const RTM_NEWLINK = 16;
const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_MASTER = 10;
const IFLA_LINKINFO = 18;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const IFLA_NET_NS_FD = 28;
const VETH_INFO_PEER = 1;

function addLink([name = "", ...rest]: readonly string[]): Encoder | undefined {
  const at = rest.indexOf("type");
  if (at === -1) return undefined;
  const common = options(rest.slice(0, at), ["mtu", "address"]);
  const kind = rest[at + 1] ?? "";
  const data = linkData(kind, rest.slice(at + 2));
  if (common === undefined || data === undefined) return undefined;
  return (lookups) =>
    message(
      RTM_NEWLINK,
      create | exclusive,
      linkHeader(),
      attribute(IFLA_IFNAME, text(name)),
      ...linkAttributes(common, lookups),
      attribute(
        IFLA_LINKINFO,
        attribute(IFLA_INFO_KIND, Buffer.from(kind)),
        attribute(IFLA_INFO_DATA, data(lookups)),
      ),
    );
}

function linkAttributes(given: ReadonlyMap<string, string>, lookups: Lookups): Buffer[] {
  const mtu = given.get("mtu");
  const address = given.get("address");
  const netns = given.get("netns");
  return [
    ...(mtu === undefined ? [] : [attribute(IFLA_MTU, u32(Number(mtu)))]),
    ...(address === undefined ? [] : [attribute(IFLA_ADDRESS, mac(address))]),
    ...(netns === undefined ? [] : [attribute(IFLA_NET_NS_FD, u32(lookups.namespace(netns)))]),
  ];
}

function linkData(kind: string, words: readonly string[]): Encoder | undefined {
  if (kind === "bridge" && words.length === 0) return () => Buffer.alloc(0);
  if (kind === "veth") return vethData(words);
  return kind === "vxlan" ? vxlanData(words) : undefined;
}

function vethData([peer, ...words]: readonly string[]): Encoder | undefined {
  const given = options(words, ["name", "mtu", "address", "netns"]);
  const name = given?.get("name");
  // A namespace must be a path: ip also takes names and pids there.
  if (peer !== "peer" || given === undefined || name === undefined) return undefined;
  if (given.get("netns")?.includes("/") === false) return undefined;
  return (lookups) =>
    attribute(
      VETH_INFO_PEER,
      linkHeader(),
      attribute(IFLA_IFNAME, text(name)),
      ...linkAttributes(given, lookups),
    );
}

const vxlan = { id: 1, link: 3, local: 4, learning: 7, port: 15 } as const;

function vxlanData(words: readonly string[]): Encoder | undefined {
  const given = options(words, ["id", "dstport", "local", "dev"], ["nolearning"]);
  const [id, port, local, device] = ["id", "dstport", "local", "dev"].map((key) => given?.get(key));
  if (given === undefined || id === undefined || port === undefined) return undefined;
  if (local !== undefined && !isIPv4(local)) return undefined;
  return (lookups) =>
    Buffer.concat([
      attribute(vxlan.id, u32(Number(id))),
      ...(device === undefined ? [] : [attribute(vxlan.link, u32(lookups.index(device)))]),
      ...(local === undefined ? [] : [attribute(vxlan.local, ip(local))]),
      attribute(vxlan.learning, u8(given.has("nolearning") ? 0 : 1)),
      attribute(vxlan.port, u8(Number(port) >> 8, Number(port) & 255)),
    ]);
}

function setLink([name = "", ...rest]: readonly string[]): Encoder | undefined {
  const given = options(rest, ["master", "mtu"], ["up", "down"]);
  if (given === undefined) return undefined;
  const mtu = given.get("mtu");
  const up = given.has("up") ? true : given.has("down") ? false : undefined;
  const master = given.get("master");
  return (lookups) =>
    message(
      RTM_NEWLINK,
      0,
      linkHeader(up),
      attribute(IFLA_IFNAME, text(name)),
      ...(mtu === undefined ? [] : [attribute(IFLA_MTU, u32(Number(mtu)))]),
      ...(master === undefined ? [] : [attribute(IFLA_MASTER, u32(lookups.index(master)))]),
    );
}

const RTM_NEWADDR = 20;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;

function addAddress([network = "", ...rest]: readonly string[]): Encoder | undefined {
  const device = options(rest, ["dev"])?.get("dev");
  const target = cidr(network);
  if (device === undefined || target === undefined) return undefined;
  return (lookups) =>
    message(
      RTM_NEWADDR,
      create | exclusive,
      u8(families[target.family], target.length, 0, 0),
      u32(lookups.index(device)),
      attribute(IFA_LOCAL, ip(target.address)),
      attribute(IFA_ADDRESS, ip(target.address)),
    );
}

const RTM_NEWROUTE = 24;
const RT_TABLE_MAIN = 254;
const RTPROT_BOOT = 3;
const scopes = { universe: 0, link: 253 } as const;
const RTN_UNICAST = 1;
const RTN_UNREACHABLE = 7;
const RTNH_F_ONLINK = 4;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
const RTA_METRICS = 8;
const RTAX_MTU = 2;

function route(flags: number, words: readonly string[]): Encoder | undefined {
  const unreachable = words[0] === "unreachable";
  const [network = "", ...rest] = unreachable ? words.slice(1) : words;
  const given = options(rest, ["via", "dev", "scope", "table", "metric", "mtu"], ["onlink"]);
  const via = given?.get("via");
  const target = network === "default" ? everything(via) : cidr(network);
  if (target === undefined || given === undefined) return undefined;
  const device = given.get("dev");
  const scope = given.get("scope");
  if (via !== undefined && (canonicalAddress(via) === undefined || familyOf(via) !== target.family))
    return undefined;
  if (scope !== undefined && (scope !== "link" || target.family === "IPv6")) return undefined;
  const [metric, mtu] = [given.get("metric"), given.get("mtu")].map(Number);
  const table = Number(given.get("table") ?? RT_TABLE_MAIN);
  if (!isShortTable(table)) return undefined;
  // IPv6 knows no scopes of routes.
  const linked = target.family === "IPv4" && (scope === "link" || (via === undefined && !unreachable));
  return (lookups) =>
    message(
      RTM_NEWROUTE,
      flags,
      u8(families[target.family], target.length, 0, 0, table, RTPROT_BOOT),
      u8(linked ? scopes.link : scopes.universe, unreachable ? RTN_UNREACHABLE : RTN_UNICAST),
      u32(given.has("onlink") ? RTNH_F_ONLINK : 0),
      ...(target.length === 0 ? [] : [attribute(RTA_DST, ip(target.address))]),
      ...(via === undefined ? [] : [attribute(RTA_GATEWAY, ip(via))]),
      ...(device === undefined ? [] : [attribute(RTA_OIF, u32(lookups.index(device)))]),
      ...(metric ? [attribute(RTA_PRIORITY, u32(metric))] : []),
      ...(mtu ? [attribute(RTA_METRICS, attribute(RTAX_MTU, u32(mtu)))] : []),
    );
}

/** The network that `default` stands for: that of the gateway's family, IPv4 if none is named. */
function everything(via = "0.0.0.0"): Network {
  return via.includes(":")
    ? { family: "IPv6", address: "::", length: 0 }
    : { family: "IPv4", address: "0.0.0.0", length: 0 };
}

/** Tables that fit into the one byte of a header. */
function isShortTable(table: number): boolean {
  return Number.isInteger(table) && table > 0 && table < 256;
}

const FR_ACT_TO_TBL = 1;
const FRA_PRIORITY = 6;
const FRA_FWMARK = 10;

/** struct fib_rule_hdr and attributes: packets with a mark look into a table. */
function rule(type: number, flags: number, family: IpFamily): Reader {
  return (words) => {
    const given = options(words, ["fwmark", "lookup", "priority"]);
    const [mark, table, priority] = ["fwmark", "lookup", "priority"].map((key) => Number(given?.get(key)));
    if (table === undefined || !isShortTable(table)) return undefined;
    if (mark === undefined || priority === undefined || !(mark > 0 && priority > 0)) return undefined;
    return () =>
      message(
        type,
        flags,
        u8(families[family], 0, 0, 0, table, 0, 0, FR_ACT_TO_TBL),
        u32(0),
        attribute(FRA_FWMARK, u32(mark)),
        attribute(FRA_PRIORITY, u32(priority)),
      );
  };
}

const RTM_NEWNEIGH = 28;
const NUD_PERMANENT = 0x80;
const NTF_SELF = 0x02;
const NDA_DST = 1;
const NDA_LLADDR = 2;

/** struct ndmsg and its two addresses. */
function neighbour(family: number, index: number, flags: number, address: string, lladdr: string): Buffer {
  return message(
    RTM_NEWNEIGH,
    create | replace,
    u8(family, 0, 0, 0),
    u32(index),
    u16(NUD_PERMANENT),
    u8(flags, 0),
    attribute(NDA_DST, ip(address)),
    attribute(NDA_LLADDR, mac(lladdr)),
  );
}

function replaceNeighbour([address = "", ...rest]: readonly string[]): Encoder | undefined {
  const given = options(rest, ["lladdr", "dev", "nud"]);
  const [lladdr, device] = [given?.get("lladdr"), given?.get("dev")];
  if (canonicalAddress(address) === undefined || lladdr === undefined || device === undefined)
    return undefined;
  if (given?.get("nud") !== "permanent") return undefined;
  return (lookups) => neighbour(families[familyOf(address)], lookups.index(device), 0, address, lladdr);
}

function replaceForwarding([lladdr = "", ...rest]: readonly string[]): Encoder | undefined {
  const given = options(rest, ["dev", "dst"], ["self", "permanent"]);
  const [device, destination] = [given?.get("dev"), given?.get("dst")];
  if (device === undefined || destination === undefined) return undefined;
  if (canonicalAddress(destination) === undefined) return undefined;
  if (given?.has("self") !== true || !given.has("permanent")) return undefined;
  return (lookups) => neighbour(AF_BRIDGE, lookups.index(device), NTF_SELF, destination, lladdr);
}

interface Network {
  readonly family: IpFamily;
  readonly address: string;
  readonly length: number;
}

/** An address with or without a prefix length; host bits are the kernel's to judge. */
function cidr(word: string): Network | undefined {
  const [address = "", length, more] = word.split("/");
  if (canonicalAddress(address) === undefined || more !== undefined) return undefined;
  const family = familyOf(address);
  const longest = family === "IPv4" ? 32 : 128;
  if (length !== undefined && (!/^\d{1,3}$/.test(length) || Number(length) > longest)) return undefined;
  return { family, address, length: Number(length ?? longest) };
}

function ip(address: string): Buffer {
  return Buffer.from(ipaddr.parse(address).toByteArray());
}

function mac(address: string): Buffer {
  return Buffer.from(address.replaceAll(":", ""), "hex");
}
