/** What the kernel remembers of clients and the endpoints they met (sessionAffinity ClientIP). */
import type { RuleKernel } from "../backend.ts";
import { portsOf } from "../plan.ts";
import type { EndpointList } from "../plan.ts";
import type { Backend } from "../rotation.ts";
import { affinityMapOf, tableOf } from "./names.ts";

const MOST_TRIES = 3;

/**
 * Forgets the clients that are remembered for an endpoint which is no longer in its list; the others keep theirs.
 * A client whose time ends between reading and deleting makes the whole deletion fail: then once more.
 */
export async function forgetGone(kernel: RuleKernel, list: EndpointList): Promise<void> {
  for (const port of portsOf(list)) {
    const present = new Set(list.slots.filter((slot) => slot.port === port).map(({ address }) => address));
    await forgetOthers(kernel, mapOf(list, port), present);
  }
}

async function forgetOthers(kernel: RuleKernel, map: string, present: ReadonlySet<string>): Promise<void> {
  for (let tries = 1; ; tries++) {
    const known = readAffinity(await kernel.nft(`list map ${map}\n`));
    const gone = [...known].filter(([, address]) => !present.has(address)).map(([client]) => client);
    if (gone.length === 0) return;
    try {
      await kernel.nft(`delete element ${map} { ${gone.join(", ")} }\n`);
    } catch (error) {
      if (tries === MOST_TRIES) throw error;
    }
  }
}

/** The endpoint that a client is remembered for, if it is. */
export async function rememberedFor(
  kernel: RuleKernel,
  list: EndpointList,
  client: string,
): Promise<Backend | undefined> {
  for (const port of portsOf(list)) {
    const element = `${mapOf(list, port)} { ${client} }`;
    // An element that is not there is an error of nft's.
    const listing = await kernel.nft(`get element ${element}\n`).catch(() => "");
    const address = readAffinity(listing).get(client);
    if (address !== undefined) return { address, port };
  }
  return undefined;
}

function mapOf(list: EndpointList, port: number): string {
  return `${tableOf(list.family)} ${affinityMapOf(list.key, port)}`;
}

/** Addresses by client in nft's listing of a map (`get element` knows no JSON); what is not understood is left out. */
export function readAffinity(listing: string): ReadonlyMap<string, string> {
  const elements = listing.matchAll(/([\da-f.:]+) timeout \S+ expires \S+ : ([\da-f.:]+)/g);
  return new Map([...elements].map(([, client = "", address = ""]) => [client, address] as const));
}
