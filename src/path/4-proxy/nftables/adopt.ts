/**
 * Taking over a table that another run of the proxy left: what is there is compared with what must be, so that
 * nothing that is right is touched, and no counter begins anew. Pure.
 */
import type { EndpointList, FamilyPlan } from "../plan.ts";
import { rotate } from "../rotation.ts";
import type { Backend, Rotation } from "../rotation.ts";
import { affinityMapType, frameMark, frameRules } from "./frame.ts";
import { blockSize, emptyLayout } from "./layout.ts";
import type { Block, Layout } from "./layout.ts";
import type { Listing } from "./listing.ts";
import { chainOf, endpointMapOf } from "./names.ts";
import { chainsOf, unitsOf } from "./units.ts";
import type { Unit, Units } from "./units.ts";

export interface Adopted {
  readonly layout: Layout;
  /** The order and the turn of each list that was found; turned already where its rule will be written anew. */
  readonly rotations: ReadonlyMap<string, Rotation>;
}

/** Whether the table was made by this version, so that its frame can stay. */
export function isOurs({ chains }: Listing): boolean {
  return chains.has(frameMark);
}

/** Where the lists are that the table has. */
export function adopt(listing: Listing, lists: ReadonlyMap<string, EndpointList>): Adopted {
  const found = [...turnRulesIn(listing)];
  const blocks = new Map<string, Block>();
  const keys = new Map([...lists.keys()].map((key) => [chainOf(key), key]));
  // Blocks of lists that are no more get a name that no list has: they are given up by the next layout.
  for (const [chain, { offset, count }] of found) {
    blocks.set(keys.get(chain) ?? `chain ${chain}`, { offset, size: blockSize(count) });
  }
  const end = Math.max(0, ...[...blocks.values()].map(({ offset, size }) => offset + size));
  const rotations = new Map<string, Rotation>();
  for (const [chain, rule] of found) {
    const list = lists.get(keys.get(chain) ?? "");
    const rotation = list && rotationIn(listing, list, rule);
    if (rotation !== undefined) rotations.set(list?.key ?? "", rotation);
  }
  return { layout: { ...emptyLayout, blocks, end }, rotations };
}

interface TurnRule {
  readonly offset: number;
  readonly count: number;
  readonly taken: number;
}

const TURN = /(?:numgen inc|jhash ip6? saddr) mod (\d+)(?: seed 0x[\da-f]+)?(?: offset (\d+))?/;

function* turnRulesIn({ chains, packets }: Listing): Iterable<readonly [string, TurnRule]> {
  for (const [chain, rules] of chains) {
    const [, count, offset = 0] = TURN.exec(rules.at(-1) ?? "") ?? [];
    if (count === undefined) continue;
    yield [chain, { count: Number(count), offset: Number(offset), taken: packets.get(chain) ?? 0 }];
  }
}

function rotationIn(listing: Listing, list: EndpointList, rule: TurnRule): Rotation | undefined {
  const { offset, count, taken } = rule;
  const elements = listing.elements.get(endpointMapOf(list.protocol, offset));
  const slots: Backend[] = [];
  for (let slot = 0; slot < count; slot++) {
    const [address = "", port] = (elements?.get(String(offset + slot)) ?? "").split(" . ");
    if (port === undefined) return undefined;
    slots.push({ address, port: Number(port) });
  }
  const next = taken % count;
  const [wanted] = chainsOf({ ...list, slots }, offset);
  const stays = sameRules(listing.chains.get(chainOf(list.key)) ?? [], wanted?.rules ?? []);
  return stays ? { slots, next } : { slots: rotate(slots, next), next: 0 };
}

function sameRules(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((rule, i) => normal(rule) === normal(others[i] ?? ""));
}

/** nft prints some words otherwise than it takes them, and differently from version to version. */
function normal(rule: string): string {
  return rule
    .replace(/ dnat (?:ip6? )?(?:addr \. port )?to /, " dnat to ")
    .replace(/ offset 0(?= )/, "")
    .replace(/ seed 0x0(?= )/, "")
    .replace(/ : (\d+)$/, ":$1")
    .replace(/ timeout (\S+)/, (_, time: string) => ` timeout ${secondsIn(time)}`);
}

/** `1h30m`, `100s` */
function secondsIn(time: string): number {
  const units: Readonly<Record<string, number>> = { d: 86_400, h: 3600, m: 60, s: 1 };
  const parts = [...time.matchAll(/(\d+)([dhms])(?!s)/g)];
  return parts.reduce((sum, [, count, unit = ""]) => sum + Number(count) * (units[unit] ?? 0), 0);
}

/**
 * What is there as the units of `plan`, so that the difference to them can be rendered; what belongs to none of them is
 * one more unit.
 */
export function unitsThere(listing: Listing, plan: FamilyPlan, layout: Layout): readonly Units[] {
  const claimed = new Set<string>();
  const kinds = unitsOf(plan, layout, []).map((wanted) => kindThere(listing, wanted, claimed));
  kinds.at(-1)?.set("left over", leftOver(listing, plan, claimed));
  return kinds;
}

/** @param claimed gets the names of all that these units are made of */
function kindThere(listing: Listing, wanted: Units, claimed: Set<string>): Map<string, Unit> {
  const units = new Map<string, Unit>();
  const chainThere = ({ name, rules: wantedRules }: Unit["chains"][number]): Unit["chains"] => {
    claimed.add(`chain ${name}`);
    const rules = listing.chains.get(name);
    if (rules === undefined) return [];
    return [{ name, rules: sameRules(rules, wantedRules) ? wantedRules : rules }];
  };
  for (const [key, unit] of wanted) {
    const elements = new Map(
      [...unit.elements].map(([set, entries]) => {
        const there = [...entries.keys()].flatMap((name) => {
          claimed.add(`${set} ${name}`);
          const value = listing.elements.get(set)?.get(bare(name));
          return value === undefined ? [] : [[name, value] as const];
        });
        return [set, new Map(there)] as const;
      }),
    );
    const maps = unit.maps.filter(({ name }) => (claimed.add(`map ${name}`), listing.filled.has(name)));
    const chains = unit.chains.flatMap(chainThere);
    if (chains.length + maps.length + [...elements.values()].reduce((n, { size }) => n + size, 0) === 0)
      continue;
    units.set(key, { source: "adopted", chains, maps, elements });
  }
  return units;
}

function leftOver(listing: Listing, { family }: FamilyPlan, claimed: ReadonlySet<string>): Unit {
  const isLeft = (name: string): boolean =>
    !claimed.has(name) && !claimed.has(`${name}/32`) && !claimed.has(`${name}/128`);
  const elements = [...listing.elements].map(
    ([set, entries]) => [set, new Map([...entries].filter(([key]) => isLeft(`${set} ${key}`)))] as const,
  );
  const chains = [...listing.chains].filter(([name]) => !frameRules.has(name) && isLeft(`chain ${name}`));
  const type = affinityMapType(family);
  return {
    source: "adopted",
    chains: chains.map(([name, rules]) => ({ name, rules })),
    maps: [...listing.filled].filter((name) => isLeft(`map ${name}`)).map((name) => ({ name, type })),
    elements: new Map(elements),
  };
}

/** nft prints a network of one address without its length. */
function bare(key: string): string {
  return key.replace(/\/(?:32|128)$/, "");
}
