/** Keeps the INROAD- chains of a node equal to a plan, by iptables-restore --noflush and iptables-save. */
import type { CommandResult } from "#kernel";
import { InroadError, codeOf } from "#lib/errors";
import type { IpFamily } from "#model";
import type { RuleBackend, RuleKernel } from "../backend.ts";
import { familyPlan } from "../plan.ts";
import type { EndpointList, ProxyPlan } from "../plan.ts";
import type { Rotation } from "../rotation.ts";
import { listChain } from "./names.ts";
import { nothingOwn, renderChange, renderRemoval } from "./render.ts";
import type { Own } from "./render.ts";
import { jumps, rulesFor } from "./rules.ts";
import type { Chains, Table } from "./rules.ts";
import { readSaved, rotationIn, turnCounts } from "./saved.ts";
import type { Saved } from "./saved.ts";

/** Which of the two iptables: rules in nf_tables, or in the kernel's older tables. */
export type Flavour = "nft" | "legacy";

const FAMILIES = ["IPv4", "IPv6"] as const;

/** @param flavour the system's default if not said. */
export function iptablesBackend(kernel: RuleKernel, flavour?: Flavour): RuleBackend {
  const inForce = new Map<IpFamily, Own>();
  let lists: ReadonlyMap<string, EndpointList> = new Map();

  const program = (family: IpFamily): string =>
    `${family === "IPv4" ? "iptables" : "ip6tables"}${flavour === undefined ? "" : `-${flavour}`}`;

  const carryOut = async (family: IpFamily, texts: readonly string[]): Promise<void> => {
    for (const text of texts) await kernel.iptablesRestore(text, `${program(family)}-restore`);
  };

  const save = (family: IpFamily, table: Table): Promise<string> =>
    succeed(kernel.run(`${program(family)}-save`, ["-c", "-t", table]));

  const readOwn = async (family: IpFamily): Promise<Saved> =>
    readSaved({ nat: await save(family, "nat"), filter: await save(family, "filter") });

  const bringTo = async (family: IpFamily, plan: ProxyPlan): Promise<void> => {
    const rules = rulesFor(familyPlan(plan, family));
    const largest = flavour === "legacy" ? Infinity : undefined;
    await carryOut(family, renderChange(inForce.get(family) ?? nothingOwn, rules, largest));
    inForce.set(family, { rules, hung: jumps, declared: ["nat", "filter"] });
  };

  const removeFrom = async (family: IpFamily): Promise<void> => {
    try {
      await carryOut(family, renderRemoval(await readOwn(family)));
    } catch (error) {
      // Without the program there can be no rules of this family.
      if (family === "IPv4" || codeOf(error) !== "MissingProgram") throw error;
    }
  };

  const listing = async (list: string, ...how: readonly string[]): Promise<string> => {
    const family = lists.get(list)?.family ?? "IPv4";
    const { code, stdout } = await kernel.run(program(family), [
      "-w",
      "5",
      "-t",
      "nat",
      ...how,
      listChain(list),
    ]);
    return code === 0 ? stdout : "";
  };

  return {
    async sync(plan) {
      inForce.clear();
      const families = familiesOf(plan);
      for (const family of families) inForce.set(family, await readOwn(family));
      for (const family of families) await bringTo(family, plan);
      lists = plan.lists;
      for (const family of FAMILIES) if (!families.includes(family)) await removeFrom(family);
    },
    async adopt(plan) {
      inForce.clear();
      const rotations = new Map<string, Rotation>();
      for (const family of familiesOf(plan)) {
        const saved = await readOwn(family);
        inForce.set(family, saved);
        for (const list of familyPlan(plan, family).lists.values()) {
          const rotation = rotationIn(saved, list);
          if (rotation !== undefined) rotations.set(list.key, rotation);
        }
      }
      return rotations;
    },
    async update(plan) {
      for (const family of new Set([...familiesOf(plan), ...inForce.keys()])) await bringTo(family, plan);
      lists = plan.lists;
    },
    async turns(wanted) {
      const turns = new Map<string, number>();
      for (const list of wanted) {
        const slots = lists.get(list)?.slots.length;
        const taken = slots === undefined ? [] : takenTurns(await listing(list, "-nvxL"));
        if (slots !== undefined && taken.length === slots) {
          turns.set(list, taken.reduce((sum, count) => sum + count, 0) % slots);
        }
      }
      return turns;
    },
    async counts() {
      const counts = new Map<string, readonly number[]>();
      for (const family of inForce.keys()) {
        const saved = readSaved({ nat: await save(family, "nat"), filter: "" });
        for (const list of lists.values()) {
          const taken = list.family === family ? turnCounts(saved, list) : [];
          if (taken.length === list.slots.length) counts.set(list.key, taken);
        }
      }
      return counts;
    },
    async rulesOf(list) {
      return (await listing(list, "-S")).split("\n").filter((text) => text.startsWith("-A"));
    },
    async intact() {
      for (const [family, { rules }] of inForce) {
        const own = await readOwn(family);
        if (own.hung.length !== jumps.length) return false;
        if (!sameChains(own.rules.nat, rules.nat) || !sameChains(own.rules.filter, rules.filter))
          return false;
      }
      return true;
    },
    async remove() {
      inForce.clear();
      lists = new Map();
      for (const family of FAMILIES) await removeFrom(family);
    },
  };
}

/** The jumps are there even if there is no Service yet. */
function familiesOf(plan: ProxyPlan): readonly IpFamily[] {
  return plan.families.length === 0 ? ["IPv4"] : plan.families;
}

async function succeed(result: Promise<CommandResult>): Promise<string> {
  const { code, stdout, stderr } = await result;
  if (code === 0) return stdout;
  throw new InroadError("IptablesFailed", `iptables-save failed: ${stderr.trim() || `exit status ${code}`}`);
}

/** Whether all that must be there is there, word for word. */
function sameChains(found: Chains, wanted: Chains): boolean {
  return (
    found.dispatch.size === wanted.dispatch.size &&
    [...wanted.dispatch].every((rule) => found.dispatch.has(rule)) &&
    [...wanted.chains].every(([name, rules]) => rules.join("\n") === found.chains.get(name)?.join("\n"))
  );
}

/** How many connections have taken each turn: the packet counters of the rules that lead to slots. */
function takenTurns(listing: string): readonly number[] {
  return [...listing.matchAll(/^ *(\d+) +\d+ +INROAD-SEP-/gm)].map(([, packets]) => Number(packets));
}
