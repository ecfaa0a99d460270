/** Keeps the table `ip inroad-proxy` of a node equal to a plan, by nft. */
import type { NftOptions } from "#kernel";
import type { RuleBackend, RuleKernel } from "../backend.ts";
import type { EndpointList } from "../plan.ts";
import { readContent, sameContent } from "./content.ts";
import { emptyLayout } from "./layout.ts";
import { IN_TABLE, chainOf } from "./names.ts";
import { renderAll, renderChange, renderDeletion } from "./render.ts";
import type { Rendered } from "./render.ts";

/** Kernels before 6.2 hold on to a chain for about a second after the last element that led to it. */
const CHAIN_REST_MS = 1000;

/** Reading one counter makes nft read the names of all chains: 40 ms at 1,000 lists, 350 ms at 10,000. */
const MOST_LISTS_TO_READ = 1000;

/** More lists than these are read with the whole table. */
const MOST_SINGLE_READS = 4;

/** In a table with more lists, even a small change takes nft many milliseconds. */
const LARGE_TABLE = 200;

type InForce = Pick<Rendered, "layout" | "units"> & { readonly lists: ReadonlyMap<string, EndpointList> };

/** @param now milliseconds of a steady clock. */
export function nftablesBackend(
  kernel: RuleKernel,
  now: () => number = () => performance.now(),
): RuleBackend {
  const nothing: InForce = { layout: emptyLayout, units: new Map(), lists: new Map() };
  let inForce = nothing;
  /** Retired chains with the time of their retirement. */
  let retired = new Map<string, number>();

  /** Scripts are large by themselves when they build a large table. */
  const size = (): NftOptions => (inForce.lists.size > LARGE_TABLE ? { large: true } : {});

  const carryOut = async (scripts: readonly string[]): Promise<void> => {
    for (const script of scripts) await kernel.nft(`${script}\n`, size());
  };

  const deleteRetired = async (): Promise<void> => {
    const due = [...retired].filter(([, since]) => now() - since >= CHAIN_REST_MS).map(([name]) => name);
    if (due.length === 0) return;
    await carryOut([renderDeletion(due)]);
    for (const name of due) retired.delete(name);
  };

  /** A script that lists several chains finds only the last one (nft 1.0.6): so one run for each, or one for all there is. */
  const listChains = async (lists: readonly string[]): Promise<string> => {
    const single = lists.length <= MOST_SINGLE_READS;
    const wanted = single ? lists.map((list) => `chain ${IN_TABLE} ${chainOf(list)}`) : [`table ${IN_TABLE}`];
    const nothingThere = (): string => "";
    const listings = await Promise.all(
      wanted.map((what) => kernel.nft(`list ${what}\n`, size()).catch(nothingThere)),
    );
    return listings.join("");
  };

  return {
    async sync(plan) {
      inForce = nothing;
      retired = new Map();
      const rendered = renderAll(plan);
      await carryOut(rendered.scripts);
      inForce = { ...rendered, lists: plan.lists };
    },
    async update(plan) {
      const rendered = renderChange(inForce, plan);
      await carryOut(rendered.scripts);
      inForce = { ...rendered, lists: plan.lists };
      for (const list of plan.lists.keys()) retired.delete(chainOf(list));
      for (const name of rendered.retired) retired.set(name, now());
    },
    async turns(lists) {
      if (lists.length === 0 || inForce.lists.size > MOST_LISTS_TO_READ) return new Map();
      const chains = chainsIn(await listChains(lists));
      return new Map(
        lists.flatMap((list) => {
          const count = /counter packets (\d+)/.exec(chains.get(chainOf(list))?.join() ?? "")?.[1];
          const slots = inForce.lists.get(list)?.slots.length;
          return count === undefined || slots === undefined ? [] : [[list, Number(count) % slots] as const];
        }),
      );
    },
    async rulesOf(list) {
      const chain = chainOf(list);
      return (chainsIn(await listChains([list])).get(chain) ?? []).map((rule) => `${chain}: ${rule}`);
    },
    async intact() {
      // The grace of retired chains ends here rather than on the update path.
      await deleteRetired();
      const listing = await kernel
        .nft(`list table ${IN_TABLE}\n`, { ...size(), json: true })
        .catch(() => undefined);
      return listing !== undefined && sameContent(readContent(listing), inForce.units, retired.keys());
    },
    async remove() {
      inForce = nothing;
      retired = new Map();
      // `add` first: deleting a table that is not there is an error.
      await carryOut([`add table ${IN_TABLE}\ndelete table ${IN_TABLE}`]);
    },
  };
}

/** The rules of each chain in nft's listing, without indentation. */
function chainsIn(listing: string): ReadonlyMap<string, readonly string[]> {
  const chains = new Map<string, string[]>();
  for (const [, name = "", body = ""] of listing.matchAll(/^\tchain (\S+) \{\n([^}]*?)^\t\}/gm)) {
    const rules = body.split("\n").map((line) => line.trim());
    chains.set(
      name,
      rules.filter((rule) => rule !== ""),
    );
  }
  return chains;
}
