/** Keeps the INROAD- chains of a node equal to a plan, by iptables-restore --noflush and iptables-save. */
import type { CommandResult } from "#kernel";
import { InroadError } from "#lib/errors";
import type { RuleBackend, RuleKernel } from "../backend.ts";
import { familyPlan } from "../plan.ts";
import type { EndpointList } from "../plan.ts";
import { SERVICES, UNSERVED, listChain } from "./names.ts";
import { jumps, noRules, renderAll, renderChange, renderRemoval, rulesFor } from "./render.ts";
import type { Rules, Table } from "./render.ts";

/** What is there of ours: chains with their number of rules, and jumps to them. */
interface Own {
  readonly chains: Readonly<Record<Table, ReadonlyMap<string, number>>>;
  readonly hung: typeof jumps;
}

/** Which of the two iptables: rules in nf_tables, or in the kernel's older tables. */
export type Flavour = "nft" | "legacy";

/** @param flavour the system's default if not said. */
export function iptablesBackend(kernel: RuleKernel, flavour?: Flavour): RuleBackend {
  const iptables = flavour === undefined ? "iptables" : `iptables-${flavour}`;
  let inForce: { readonly rules: Rules; readonly lists: ReadonlyMap<string, EndpointList> } = {
    rules: noRules,
    lists: new Map(),
  };

  const carryOut = async (texts: readonly string[]): Promise<void> => {
    for (const text of texts) await kernel.iptablesRestore(text, `${iptables}-restore`);
  };

  const readOwn = async (): Promise<Own> => {
    const nat = await succeed(kernel.run(`${iptables}-save`, ["-t", "nat"]));
    const filter = await succeed(kernel.run(`${iptables}-save`, ["-t", "filter"]));
    return {
      chains: { nat: ownChains(nat), filter: ownChains(filter) },
      hung: jumps.filter(({ table, chain, rest }) =>
        (table === "nat" ? nat : filter).split("\n").includes(`-A ${chain} ${rest}`),
      ),
    };
  };

  return {
    async sync(plan) {
      inForce = { rules: noRules, lists: new Map() };
      const own = await readOwn();
      const rules = rulesFor(familyPlan(plan, "IPv4"));
      const missing = jumps.filter((jump) => !own.hung.includes(jump));
      await carryOut(renderAll(rules, [...own.chains.nat.keys()], missing));
      inForce = { rules, lists: plan.lists };
    },
    async update(plan) {
      const rules = rulesFor(familyPlan(plan, "IPv4"));
      await carryOut(renderChange(inForce.rules, rules));
      inForce = { rules, lists: plan.lists };
    },
    async turns(lists) {
      const turns = new Map<string, number>();
      for (const list of lists) {
        const listing = await kernel.run(iptables, ["-t", "nat", "-nvxL", listChain(list)]);
        const slots = inForce.lists.get(list)?.slots.length;
        if (listing.code === 0 && slots !== undefined) turns.set(list, takenTurns(listing.stdout) % slots);
      }
      return turns;
    },
    async rulesOf(list) {
      const listing = await kernel.run(iptables, ["-t", "nat", "-S", listChain(list)]);
      return listing.code === 0 ? listing.stdout.split("\n").filter((text) => text.startsWith("-A")) : [];
    },
    async intact() {
      const own = await readOwn();
      const { rules } = inForce;
      return (
        own.hung.length === jumps.length &&
        own.chains.nat.get(SERVICES) === rules.services.size &&
        own.chains.filter.get(UNSERVED) === rules.unserved.size &&
        [...rules.nat].every(([name, expected]) => own.chains.nat.get(name) === expected.length)
      );
    },
    async remove() {
      inForce = { rules: noRules, lists: new Map() };
      const { chains, hung } = await readOwn();
      const own = { nat: [...chains.nat.keys()], filter: [...chains.filter.keys()] };
      await carryOut(renderRemoval(own, hung));
    },
  };
}

async function succeed(result: Promise<CommandResult>): Promise<string> {
  const { code, stdout, stderr } = await result;
  if (code === 0) return stdout;
  throw new InroadError("IptablesFailed", `iptables-save failed: ${stderr.trim() || `exit status ${code}`}`);
}

/** Number of rules of each chain of ours in what iptables-save printed. */
function ownChains(saved: string): ReadonlyMap<string, number> {
  const chains = new Map<string, number>();
  for (const [, declared, ruled] of saved.matchAll(/^(?::(INROAD-\S+)|-A (INROAD-\S+)) /gm)) {
    if (declared !== undefined) chains.set(declared, 0);
    if (ruled !== undefined) chains.set(ruled, (chains.get(ruled) ?? 0) + 1);
  }
  return chains;
}

/** How many connections have taken a turn: the packet counters of the rules that lead to slots. */
function takenTurns(listing: string): number {
  const counts = [...listing.matchAll(/^ *(\d+) +\d+ +INROAD-SEP-/gm)].map(([, packets]) => Number(packets));
  return counts.reduce((sum, count) => sum + count, 0);
}
