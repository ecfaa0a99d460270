/** What nft prints of a table, in the words of our scripts: pure. What is not understood is left out. */

export interface Listing {
  /** Rules by chain, without their counters. */
  readonly chains: ReadonlyMap<string, readonly string[]>;
  /** Elements by set or map; a set's values are empty. Maps that packets fill have none here. */
  readonly elements: ReadonlyMap<string, ReadonlyMap<string, string>>;
  /** Maps that packets fill. */
  readonly filled: ReadonlySet<string>;
  /** Packets counted by the rules of a chain, added up. */
  readonly packets: ReadonlyMap<string, number>;
  /** Packets counted by each element, by map and key. */
  readonly counts: ReadonlyMap<string, ReadonlyMap<string, number>>;
}

/** Reads the text of `nft list table`, or of a part of it. */
export function readListing(text: string): Listing {
  const chains = new Map<string, readonly string[]>();
  const elements = new Map<string, ReadonlyMap<string, string>>();
  const counts = new Map<string, ReadonlyMap<string, number>>();
  const packets = new Map<string, number>();
  const filled = new Set<string>();
  for (const [, kind, name = "", body = ""] of text.matchAll(/^\t(chain|set|map) (\S+) \{\n([^]*?)^\t\}/gm)) {
    if (kind === "chain") {
      const rules = linesOf(body).filter((line) => !/^(?:type|policy|comment) /.test(line));
      chains.set(name, rules.map(withoutCounts));
      packets.set(
        name,
        rules.map(countIn).reduce((sum, count) => sum + count, 0),
      );
    } else if (/flags [^\n]*dynamic/.test(body)) filled.add(name);
    else {
      const found = elementsIn(body);
      elements.set(name, new Map(found.map(([key, value]) => [withoutCounts(key), value])));
      counts.set(name, new Map(found.map(([key]) => [withoutCounts(key), countIn(key)])));
    }
  }
  return { chains, elements, filled, packets, counts };
}

function linesOf(body: string): readonly string[] {
  return body
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
}

function elementsIn(body: string): readonly (readonly [string, string])[] {
  const [, list = ""] = /elements = \{ ([^}]*?)\s*\}/.exec(body) ?? [];
  return list.split(",").flatMap((element) => {
    const [key = "", value = ""] = element.trim().split(" : ");
    return key === "" ? [] : [[key, value] as const];
  });
}

function withoutCounts(text: string): string {
  return text
    .replace(/ counter packets \d+ bytes \d+$/, "")
    .replace(/counter packets \d+ bytes \d+/, "counter");
}

function countIn(text: string): number {
  return Number(/counter packets (\d+)/.exec(text)?.[1] ?? 0);
}
