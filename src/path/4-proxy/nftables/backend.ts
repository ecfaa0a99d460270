/** Keeps the tables `ip inroad-proxy` and, where there are IPv6 addresses, `ip6 inroad-proxy` equal to a plan, by nft. */
import type { NftOptions } from "#kernel";
import type { IpFamily } from "#model";
import type { RuleBackend, RuleKernel } from "../backend.ts";
import { familyPlan } from "../plan.ts";
import type { EndpointList, ProxyPlan } from "../plan.ts";
import type { Rotation } from "../rotation.ts";
import { adopt, isOurs, unitsThere } from "./adopt.ts";
import { forgetGone, rememberedFor } from "./affinity.ts";
import { readContent, sameContent } from "./content.ts";
import { layOut } from "./layout.ts";
import { readListing } from "./listing.ts";
import { chainOf, endpointMapOf, tableOf } from "./names.ts";
import { renderAll, renderChange, renderDeletion } from "./render.ts";
import type { Rendered } from "./render.ts";
import type { Unit, Units } from "./units.ts";

/** Kernels before 6.2 hold on to a chain for about a second after the last element that led to it. */
const CHAIN_REST_MS = 1000;

/** Reading one counter makes nft read the names of all chains: 40 ms at 1,000 lists, 350 ms at 10,000. */
const MOST_LISTS_TO_READ = 1000;

/** More lists than these are read with the whole table. */
const MOST_SINGLE_READS = 4;

/** In a table with more lists, even a small change takes nft many milliseconds. */
const LARGE_TABLE = 200;

const FAMILIES = ["IPv4", "IPv6"] as const;

interface Table extends Pick<Rendered, "layout" | "units"> {
  readonly lists: ReadonlyMap<string, EndpointList>;
  /** Retired chains with the time of their retirement. */
  readonly retired: Map<string, number>;
}

/** @param now milliseconds of a steady clock. */
export function nftablesBackend(
  kernel: RuleKernel,
  now: () => number = () => performance.now(),
): RuleBackend {
  const tables = new Map<IpFamily, Table>();

  /** Scripts are large by themselves when they build a large table. */
  const size = (family: IpFamily): NftOptions =>
    (tables.get(family)?.lists.size ?? 0) > LARGE_TABLE ? { large: true } : {};

  const carryOut = async (family: IpFamily, scripts: readonly string[]): Promise<void> => {
    for (const script of scripts) await kernel.nft(`${script}\n`, size(family));
  };

  const bringTo = async (family: IpFamily, plan: ProxyPlan): Promise<void> => {
    const wanted = familyPlan(plan, family);
    const before = tables.get(family);
    const rendered = before === undefined ? renderAll(wanted) : renderChange(before, wanted);
    await carryOut(family, rendered.scripts);
    const retired = before?.retired ?? new Map<string, number>();
    if (retired.size > 0) for (const { chains } of allOf(rendered.units)) forgetChains(retired, chains);
    for (const name of rendered.retired) retired.set(name, now());
    tables.set(family, { ...rendered, lists: wanted.lists, retired });
    for (const list of losers(before?.lists ?? new Map(), wanted.lists)) await forgetGone(kernel, list);
  };

  const deleteRetired = async (family: IpFamily, { retired }: Table): Promise<void> => {
    const due = [...retired].filter(([, since]) => now() - since >= CHAIN_REST_MS).map(([name]) => name);
    if (due.length === 0) return;
    await carryOut(family, [renderDeletion(family, due)]);
    for (const name of due) retired.delete(name);
  };

  const listOf = (key: string): EndpointList | undefined =>
    tables.get("IPv4")?.lists.get(key) ?? tables.get("IPv6")?.lists.get(key);

  /** A script that lists several chains finds only the last one (nft 1.0.6): so one run for each, or one for all there is. */
  const listChains = async (lists: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>> => {
    const known = lists.flatMap((key) => listOf(key) ?? []);
    const single = known.length <= MOST_SINGLE_READS;
    const wanted = new Set(
      known.map(({ family, key }) =>
        single ? `chain ${tableOf(family)} ${chainOf(key)}` : `table ${tableOf(family)}`,
      ),
    );
    const nothingThere = (): string => "";
    const listings = await Promise.all(
      [...wanted].map((what) => kernel.nft(`list ${what}\n`, size("IPv4")).catch(nothingThere)),
    );
    return chainsIn(listings.join(""));
  };

  return {
    async sync(plan) {
      tables.clear();
      const families = familiesOf(plan);
      for (const family of families) await bringTo(family, plan);
      for (const family of FAMILIES.filter((other) => !families.includes(other))) {
        // Of a predecessor, perhaps; a kernel that does not know the family has no such table.
        await carryOut(family, [removalOf(family)]).catch(() => undefined);
      }
    },
    async adopt(plan) {
      tables.clear();
      const rotations = new Map<string, Rotation>();
      const names = await kernel.nft("list tables\n");
      for (const family of FAMILIES.filter((one) => names.includes(`table ${tableOf(one)}\n`))) {
        const listing = readListing(await kernel.nft(`list table ${tableOf(family)}\n`, { large: true }));
        // The next change makes it anew.
        if (!isOurs(listing)) continue;
        const wanted = familyPlan(plan, family);
        const { layout, rotations: found } = adopt(listing, wanted.lists);
        for (const [key, rotation] of found) rotations.set(key, rotation);
        tables.set(family, {
          layout,
          units: unitsThere(listing, wanted, layOut(layout, wanted.lists)),
          lists: listsThere(wanted.lists, found),
          retired: new Map(),
        });
      }
      return tables.size === 0 ? undefined : rotations;
    },
    async update(plan) {
      for (const family of new Set([...familiesOf(plan), ...tables.keys()])) await bringTo(family, plan);
    },
    async turns(lists) {
      const count = [...tables.values()].reduce((sum, table) => sum + table.lists.size, 0);
      if (lists.length === 0 || count > MOST_LISTS_TO_READ) return new Map();
      const chains = await listChains(lists);
      return new Map(
        lists.flatMap((key) => {
          const list = listOf(key);
          const rules = list && chains.get(chainKey(list));
          const taken = /counter packets (\d+)/.exec(rules?.join("\n") ?? "")?.[1];
          return list === undefined || taken === undefined
            ? []
            : [[key, Number(taken) % list.slots.length] as const];
        }),
      );
    },
    async counts() {
      const counts = new Map<string, readonly number[]>();
      for (const [family, { lists, layout }] of tables) {
        const taking = [...lists.values()]
          .filter(({ scheduler }) => scheduler !== "sh")
          .map(({ key, protocol, slots }) => {
            const offset = layout.blocks.get(key)?.offset ?? 0;
            return { key, slots, offset, map: endpointMapOf(protocol, offset) };
          });
        const maps = new Set(taking.map(({ map }) => map));
        const listings = [...maps].map((name) =>
          kernel.nft(`list map ${tableOf(family)} ${name}\n`, { large: true }),
        );
        const read = readListing((await Promise.all(listings)).join("")).counts;
        for (const { key, slots, offset, map } of taking) {
          const found = slots.map((_, slot) => read.get(map)?.get(String(offset + slot)));
          if (found.every((count) => count !== undefined)) counts.set(key, found);
        }
      }
      return counts;
    },
    async rulesOf(key) {
      const list = listOf(key);
      if (list === undefined) return [];
      const rules = (await listChains([key])).get(chainKey(list)) ?? [];
      return rules.map((rule) => `${chainOf(key)}: ${rule}`);
    },
    async remembered(key, client) {
      const list = listOf(key);
      return list?.affinitySeconds === undefined ? undefined : rememberedFor(kernel, list, client);
    },
    async intact() {
      for (const [family, table] of tables) {
        // The grace of retired chains ends here rather than on the update path.
        await deleteRetired(family, table);
        const listing = await kernel
          .nft(`list table ${tableOf(family)}\n`, { ...size(family), json: true })
          .catch(() => undefined);
        if (listing === undefined) return false;
        if (!sameContent(readContent(listing), allOf(table.units), table.retired.keys())) return false;
      }
      return true;
    },
    async remove() {
      const families = new Set<IpFamily>(["IPv4", ...tables.keys()]);
      tables.clear();
      for (const family of families) await carryOut(family, [removalOf(family)]);
    },
  };
}

function listsThere(
  wanted: ReadonlyMap<string, EndpointList>,
  found: ReadonlyMap<string, Rotation>,
): ReadonlyMap<string, EndpointList> {
  return new Map(
    [...found].flatMap(([key, { slots }]) => {
      const list = wanted.get(key);
      return list === undefined ? [] : [[key, { ...list, slots }] as const];
    }),
  );
}

/** A table is there even if there is no Service yet. */
function familiesOf(plan: ProxyPlan): readonly IpFamily[] {
  return plan.families.length === 0 ? ["IPv4"] : plan.families;
}

/** `add` first: deleting a table that is not there is an error. */
function removalOf(family: IpFamily): string {
  return `add table ${tableOf(family)}\ndelete table ${tableOf(family)}`;
}

/** Lists with affinity that lost an endpoint. */
function losers(
  before: ReadonlyMap<string, EndpointList>,
  after: ReadonlyMap<string, EndpointList>,
): readonly EndpointList[] {
  return [...after.values()].filter((list) => {
    const old = before.get(list.key);
    if (list === old || list.affinitySeconds === undefined || old === undefined || old.slots === list.slots)
      return false;
    const present = new Set(list.slots.map(({ address, port }) => `${address} ${port}`));
    return old.slots.some(({ address, port }) => !present.has(`${address} ${port}`));
  });
}

function allOf(kinds: readonly Units[]): readonly Unit[] {
  return kinds.flatMap((units) => [...units.values()]);
}

function forgetChains(retired: Map<string, number>, chains: Unit["chains"]): void {
  for (const { name } of chains) retired.delete(name);
}

function chainKey({ family, key }: EndpointList): string {
  return `${tableOf(family)} ${chainOf(key)}`;
}

/** The rules of each chain in nft's listing, by `ip TABLE CHAIN`, without indentation. */
function chainsIn(listing: string): ReadonlyMap<string, readonly string[]> {
  const chains = new Map<string, string[]>();
  for (const [, table = "", content = ""] of listing.matchAll(/^table (\S+ \S+) \{\n([^]*?)^\}/gm)) {
    for (const [, name = "", body = ""] of content.matchAll(/^\tchain (\S+) \{\n([^}]*?)^\t\}/gm)) {
      const rules = body.split("\n").map((line) => line.trim());
      chains.set(
        `${table} ${name}`,
        rules.filter((rule) => rule !== ""),
      );
    }
  }
  return chains;
}
