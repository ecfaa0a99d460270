/** What iptables-save tells of our chains: pure. */
import type { EndpointList } from "../plan.ts";
import { rotate } from "../rotation.ts";
import type { Backend, Rotation } from "../rotation.ts";
import { affinityChain, listChain, slotChain } from "./names.ts";
import type { Own } from "./render.ts";
import { dispatchOf, jumps } from "./rules.ts";
import type { Table } from "./rules.ts";

export interface Saved extends Own {
  /** Packets that each rule of a list's chain has seen, by chain, in order. */
  readonly packets: ReadonlyMap<string, readonly number[]>;
}

/** @param texts what `iptables-save -c -t TABLE` printed. */
export function readSaved(texts: Readonly<Record<Table, string>>): Saved {
  const nat = chainsIn(texts.nat);
  const filter = chainsIn(texts.filter);
  const own = (table: Table, { rules }: Lines) => {
    const chains = new Map(
      [...rules].filter(([name]) => name.startsWith("INROAD-") && name !== dispatchOf[table]),
    );
    return { chains, dispatch: new Set(rules.get(dispatchOf[table])) };
  };
  const lines = { nat, filter };
  return {
    rules: { nat: own("nat", nat), filter: own("filter", filter) },
    hung: jumps.filter(({ table, chain, rest }) => lines[table].rules.get(chain)?.includes(rest)),
    declared: (["nat", "filter"] as const).filter((table) => lines[table].rules.has(dispatchOf[table])),
    packets: nat.packets,
  };
}

interface Lines {
  readonly rules: ReadonlyMap<string, readonly string[]>;
  readonly packets: ReadonlyMap<string, readonly number[]>;
}

/** `:CHAIN POLICY [0:0]` and `[PACKETS:BYTES] -A CHAIN RULE`. */
function chainsIn(text: string): Lines {
  const rules = new Map<string, string[]>();
  const packets = new Map<string, number[]>();
  for (const line of text.split("\n")) {
    const [, declared] = /^:(\S+) /.exec(line) ?? [];
    if (declared !== undefined) rules.set(declared, []);
    const [, count, chain = "", rule = ""] = /^\[(\d+):\d+\] -A (\S+) (.*)$/.exec(line) ?? [];
    if (count === undefined) continue;
    rules.set(chain, [...(rules.get(chain) ?? []), rule]);
    if (chain.startsWith("INROAD-SVC-")) packets.set(chain, [...(packets.get(chain) ?? []), Number(count)]);
  }
  return { rules, packets };
}

/**
 * The order and the turn of a list as its rules have it, turned already if they will be written anew; undefined if they are
 * not as we write them.
 */
export function rotationIn({ rules, packets }: Saved, list: EndpointList): Rotation | undefined {
  const chain = listChain(list.key);
  const texts = rules.nat.chains.get(chain) ?? [];
  const slots: Backend[] = [];
  const isTurn = texts.map((rule) => / INROAD-SEP-\S+$/.test(rule) || rule.startsWith("-j INROAD-SEP-"));
  for (const turn of isTurn) {
    if (!turn) continue;
    const rule = rules.nat.chains.get(slotChain(list.key, slots.length))?.at(-1) ?? "";
    const [, address, port] = /--to-destination \[?([\da-f.:]+?)\]?:(\d+)$/.exec(rule) ?? [];
    if (address === undefined) return undefined;
    slots.push({ address, port: Number(port) });
  }
  if (slots.length === 0) return undefined;
  const taken = (packets.get(chain) ?? []).filter((_, i) => isTurn[i]);
  const next = taken.reduce((sum, count) => sum + count, 0) % slots.length;
  const hadAffinity = texts.includes(`-j ${affinityChain(list.key)}`);
  const stays = hadAffinity === (list.affinitySeconds !== undefined);
  return stays ? { slots, next } : { slots: rotate(slots, next), next: 0 };
}
