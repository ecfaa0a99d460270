/**
 * Keeps IPVS of a node equal to a plan: virtual servers by ipvsadm, their addresses on a dummy device, and a table of
 * nftables that says which connection belongs to which server, who is refused and whose source is rewritten.
 */
import { InroadError } from "#lib/errors";
import type { IpFamily } from "#model";
import type { RuleBackend, RuleKernel } from "../backend.ts";
import { readContent } from "../nftables/content.ts";
import type { ProxyPlan } from "../plan.ts";
import { changeScript, elementsFor, isOnDevice } from "./elements.ts";
import type { Elements } from "./elements.ts";
import { frameRules, removalScript } from "./frame.ts";
import { DEVICE, allotMarks, tableOf } from "./names.ts";
import {
  changeOf,
  parseSaved,
  sameServers,
  serverNames,
  serversFor,
  withDraining,
  withoutIdle,
  withoutInsideAffinity,
} from "./servers.ts";
import type { VirtualServers } from "./servers.ts";

const FAMILIES: readonly IpFamily[] = ["IPv4", "IPv6"];

/** Of the node's network namespace. Documentation/networking/ipvs-sysctl.rst and ip-sysctl.rst of the kernel. */
const sysctls = {
  // Masquerading, and evidence of where a connection went, need entries of connection tracking.
  "net/ipv4/vs/conntrack": "1",
  // Flows to endpoints that are gone, and clients that were bound to them, go elsewhere.
  "net/ipv4/vs/expire_nodest_conn": "1",
  "net/ipv4/vs/expire_quiescent_template": "1",
  // The node has the addresses of all Services, but must not answer for them where they are not its own.
  "net/ipv4/conf/all/arp_ignore": "1",
  "net/ipv4/conf/all/arp_announce": "2",
};

interface InForce {
  readonly plan: Pick<ProxyPlan, "lists" | "addresses">;
  readonly servers: VirtualServers;
  /** By key of the list; also those of servers that only wait for their last connections. */
  readonly marks: ReadonlyMap<string, number>;
  /** By family; those that no Service ever had are left out. */
  readonly tables: ReadonlyMap<IpFamily, Elements>;
  readonly addresses: ReadonlySet<string>;
}

const nothing: InForce = {
  plan: { lists: new Map(), addresses: new Map() },
  servers: new Map(),
  marks: new Map(),
  tables: new Map(),
  addresses: new Set(),
};

export function ipvsBackend(kernel: RuleKernel): RuleBackend {
  let inForce = nothing;

  const succeed = async (command: string, args: readonly string[], input?: string): Promise<string> => {
    const { code, stdout, stderr } = await kernel.run(command, args, input);
    // After a line that failed ipvsadm goes on with the next one.
    if (code === 0 && (command !== "ipvsadm" || stderr === "")) return stdout;
    const said = (stderr || stdout).trim() || `exit status ${code}`;
    throw new InroadError("IpvsFailed", `${command} ${args.join(" ")} failed: ${said}`);
  };
  const saved = async (): Promise<VirtualServers> =>
    parseSaved(await succeed("ipvsadm", ["--save", "--numeric"]));
  const restore = async (lines: readonly string[]): Promise<void> => {
    if (lines.length > 0) await succeed("ipvsadm", ["--restore"], `${lines.join("\n")}\n`);
  };
  const ip = async (lines: readonly string[]): Promise<void> => {
    if (lines.length > 0) await succeed("ip", ["-batch", "-"], `${lines.join("\n")}\n`);
  };

  /** Addresses on the dummy device; undefined if there is no such device. */
  const addressesThere = async (): Promise<ReadonlySet<string> | undefined> => {
    const { code, stdout } = await kernel.run("ip", ["-oneline", "address", "show", "dev", DEVICE]);
    if (code !== 0) return undefined;
    return new Set(
      [...stdout.matchAll(/ inet6? (\S+)\/\d+ .*scope (?:global|host)/g)].map(([, address = ""]) => address),
    );
  };

  /** In an order in which a connection is led only to where it is served. */
  const change = async (before: InForce, given: ProxyPlan): Promise<void> => {
    const plan = withoutInsideAffinity(given);
    const marks = allotMarks(plan.lists.values(), before.marks);
    const servers = withDraining(before.servers, serversFor(plan, marks));
    const { grow, shrink } = changeOf(before.servers, servers);
    const tables = tablesFor(plan, marks, before);
    const scripts = [...tables].map(([family, elements]) =>
      changeScript(family, before.tables.get(family), elements),
    );
    const changed = scripts.filter((script) => script !== "");
    const addresses = addressesOf(plan);
    await restore(changed.length > 0 ? grow : [...grow, ...shrink]);
    for (const script of changed) await kernel.nft(`${script}\n`);
    if (changed.length > 0) await restore(shrink);
    await ip(addressLines(before.addresses, addresses));
    inForce = { plan, servers, marks: stillUsed(marks, plan, servers), tables, addresses };
  };

  /** Endpoints without weight leave when their last connection has ended. */
  const endDraining = async (): Promise<void> => {
    const { servers, marks, plan } = inForce;
    if (![...servers.values()].some(({ weights }) => [...weights.values()].includes(0))) return;
    const left = withoutIdle(servers, await succeed("ipvsadm", ["--list", "--numeric"]));
    await restore(changeOf(servers, left).shrink);
    inForce = { ...inForce, servers: left, marks: stillUsed(marks, plan, left) };
  };

  const removeTables = async (families: readonly IpFamily[]): Promise<void> => {
    // A kernel that knows nothing of a family has no such table either.
    for (const family of families) await kernel.nft(`${removalScript(family)}\n`).catch(() => "");
  };

  const tableIntact = async ([family, elements]: readonly [IpFamily, Elements]): Promise<boolean> => {
    const listing = await kernel.nft(`list table ${tableOf(family)}\n`, { json: true }).catch(() => "");
    const content = readContent(listing);
    return (
      [...frameRules(family)].every(([chain, count]) => content.rules.get(chain) === count) &&
      [...elements].every(([set, entries]) => content.elements.get(set) === entries.size)
    );
  };

  return {
    async sync(plan) {
      inForce = nothing;
      // The kernel loads IPVS with the first question; before, there are none of its sysctls.
      const servers = await saved();
      kernel.setSysctls(sysctls);
      const there = await addressesThere();
      if (there === undefined) await ip([`link add ${DEVICE} type dummy`, `link set ${DEVICE} up`]);
      await change({ ...nothing, servers, addresses: there ?? new Set() }, plan);
      await removeTables(FAMILIES.filter((family) => !inForce.tables.has(family)));
    },
    update: (plan) => change(inForce, plan),
    // The kernel shows nobody where a scheduler stands, and sums up its counters only every two seconds.
    turns: () => Promise.resolve(new Map()),
    async rulesOf(key) {
      const list = inForce.plan.lists.get(key);
      const names = list === undefined ? [] : serverNames(inForce.plan, list, inForce.marks.get(key) ?? 0);
      const text = await succeed("ipvsadm", ["--save", "--numeric"]);
      return text.split("\n").filter((line) => names.some((name) => line.slice(3).startsWith(`${name} `)));
    },
    async intact() {
      const there = await addressesThere();
      if (there === undefined || [...inForce.addresses].some((address) => !there.has(address))) return false;
      if (!sameServers(await saved(), inForce.servers)) return false;
      for (const table of inForce.tables) if (!(await tableIntact(table))) return false;
      await endDraining();
      return true;
    },
    async remove() {
      const made = inForce !== nothing;
      inForce = nothing;
      const there = (await addressesThere()) !== undefined;
      // The device comes first and goes last: without it nobody left anything, and IPVS need not be loaded to see that.
      if (!made && !there) return;
      await restore(changeOf(await saved(), new Map()).shrink);
      await removeTables(FAMILIES);
      if (there) await ip([`link delete ${DEVICE}`]);
    },
  };
}

/** Without the marks of lists that are gone, and whose last connections have ended. */
function stillUsed(
  marks: ReadonlyMap<string, number>,
  { lists }: InForce["plan"],
  servers: VirtualServers,
): ReadonlyMap<string, number> {
  const draining = ([, mark]: readonly [string, number]): boolean =>
    servers.has(`-f ${mark}`) || servers.has(`-f ${mark} -6`);
  return new Map([...marks].filter((entry) => lists.has(entry[0]) || draining(entry)));
}

/** Tables of families that Services have, or had. */
function tablesFor(
  plan: ProxyPlan,
  marks: ReadonlyMap<string, number>,
  before: InForce,
): ReadonlyMap<IpFamily, Elements> {
  const all = FAMILIES.map((family) => [family, elementsFor(plan, family, marks)] as const);
  return new Map(all.filter(([family, elements]) => elements.size > 0 || before.tables.has(family)));
}

/** Addresses for the dummy device. */
function addressesOf(plan: ProxyPlan): ReadonlySet<string> {
  const services = [...plan.addresses.values()].filter((at) => isOnDevice(plan, at));
  return new Set(services.map((at) => at.address));
}

/** Of a kind that is never chosen as the source of other connections: scope host, or deprecated. */
function addressLines(before: ReadonlySet<string>, after: ReadonlySet<string>): readonly string[] {
  const six = (address: string): boolean => address.includes(":");
  const add = (address: string): string =>
    `address add ${address}${six(address) ? "/128" : "/32"} dev ${DEVICE} ${six(address) ? "preferred_lft 0 nodad" : "scope host"}`;
  const remove = (address: string): string =>
    `address delete ${address}${six(address) ? "/128" : "/32"} dev ${DEVICE}`;
  return [
    ...[...after].filter((address) => !before.has(address)).map(add),
    ...[...before].filter((address) => !after.has(address)).map(remove),
  ];
}
