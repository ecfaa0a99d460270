/**
 * For tests: carries out the scripts that are rendered here and lets packets run through the rules, in memory. It knows
 * the words that `frame.ts` and `units.ts` use and no more; a word that it does not know, or a change that the kernel
 * would refuse (deleting what is not there, leading to what is not there), is an error.
 */
import { familyOf, isInside } from "#lib/ip";
import type { RuleKernel } from "../backend.ts";
import { compileRule } from "./fake-rules.ts";
import type { Packet, Rule, Tables, Verdict } from "./fake-rules.ts";

/** A first packet of a connection. */
interface Sent {
  readonly source: string;
  readonly destination: string;
  readonly port: number;
  readonly protocol: "TCP" | "UDP" | "SCTP";
}

export interface Fate {
  readonly verdict: "accept" | "reject" | "drop";
  /** `10.244.0.2:8080`, where the destination was rewritten. */
  readonly endpoint?: string;
  readonly masqueraded: boolean;
}

export interface FakeKernel extends RuleKernel {
  /** @param own addresses of the node. */
  send(sent: Sent, own: readonly string[]): Fate;
}

/** The tables of both families. */
export function fakeKernel(): FakeKernel {
  const tables = { ip: fakeTable(), ip6: fakeTable() };
  return {
    nft: (script, { json = false } = {}) =>
      Promise.resolve(
        script
          .split("\n")
          .filter((line) => line !== "")
          .map((line) => {
            if (line === "list tables") return tables.ip.name("ip") + tables.ip6.name("ip6");
            const words = /^(\w+ \w+) (ip6?) inroad-proxy ?(\S*) ?(.*)$/.exec(line);
            if (words === null) throw new Error(`unknown command: ${line}`);
            const [, command = "", family, name = "", rest = ""] = words;
            return tables[family === "ip" ? "ip" : "ip6"].carryOut(
              json ? `${command} json` : command,
              name,
              rest,
            );
          })
          .join(""),
      ),
    iptablesRestore: () => Promise.reject(new Error("no iptables here")),
    run: () => Promise.reject(new Error("no programs here")),
    send: (sent, own) => tables[familyOf(sent.destination) === "IPv4" ? "ip" : "ip6"].send(sent, own),
  };
}

interface Table {
  /** Its line in the list of tables; none if it is not there. */
  name(family: string): string;
  /** Returns what is printed. */
  carryOut(command: string, name: string, rest: string): string;
  send: FakeKernel["send"];
}

interface Chain {
  readonly hook?: { readonly name: string; readonly priority: number };
  rules: Rule[];
}

const PATHS = {
  out: ["output", "postrouting"],
  through: ["prerouting", "forward", "postrouting"],
  in: ["prerouting", "input"],
} as const;

function fakeTable(): Table {
  let chains = new Map<string, Chain>();
  const tables: Tables = { sets: new Map(), intervals: new Set(), filled: new Set() };

  const clear = (): void => {
    chains = new Map();
    tables.sets.clear();
    tables.intervals.clear();
  };

  const chain = (name: string): Chain => {
    const found = chains.get(name);
    if (found === undefined) throw new Error(`no chain ${name}`);
    return found;
  };

  const commands: Readonly<Record<string, (name: string, rest: string) => void>> = {
    "add table": () => undefined,
    "delete table": clear,
    "add set": (name, rest) => declare(name, rest),
    "add map": (name, rest) => declare(name, rest),
    "delete map": (name) => {
      if (ruled().some((rule) => rule.text.includes(`@${name}`))) throw new Error(`map ${name} is in use`);
      if (!tables.sets.delete(name)) throw new Error(`no map ${name}`);
    },
    "add chain": (name, rest) => {
      const [, hook = "", priority = ""] = /hook (\w+) priority (-?\d+)/.exec(rest) ?? [];
      if (chains.has(name)) return;
      chains.set(
        name,
        hook === "" ? { rules: [] } : { hook: { name: hook, priority: Number(priority) }, rules: [] },
      );
    },
    "flush chain": (name) => void (chain(name).rules = []),
    "delete chain": (name) => {
      if (chain(name).rules.length > 0) throw new Error(`chain ${name} has rules`);
      if (leadsTo(name)) throw new Error(`chain ${name} is in use`);
      chains.delete(name);
    },
    "add rule": (name, rest) => void chain(name).rules.push(compileRule(rest, tables)),
    "add element": (name, rest) => changeElements(name, rest, true),
    "delete element": (name, rest) => changeElements(name, rest, false),
  };

  const ruled = (): Rule[] => [...chains.values()].flatMap(({ rules }) => rules);

  const leadsTo = (name: string): boolean =>
    [...tables.sets.values()].some((set) => [...set.values()].includes(`goto ${name}`)) ||
    ruled().some(({ text }) => new RegExp(`(?:goto|jump) ${name}$`).test(text));

  const declare = (name: string, rest: string): void => {
    if (tables.sets.has(name)) return;
    tables.sets.set(name, new Map());
    if (/flags interval/.test(rest)) tables.intervals.add(name);
    if (/flags dynamic/.test(rest)) tables.filled.add(name);
  };

  const changeElements = (name: string, rest: string, add: boolean): void => {
    const set = tables.sets.get(name);
    if (set === undefined) throw new Error(`no set ${name}`);
    for (const element of rest.replaceAll(/^\{ | \}$/g, "").split(", ")) {
      const [key = "", value = ""] = element.split(" : ");
      if (add) {
        if (set.has(key) && set.get(key) !== value) throw new Error(`${name} has ${key} with another value`);
        if (value.startsWith("goto ")) chain(value.slice(5));
        if (tables.intervals.has(name)) refuseOverlap(set, key);
        set.set(key, value);
      } else if (!set.delete(key)) throw new Error(`${name} has no ${key}`);
    }
  };

  const listing = (name: string): string =>
    [...(tables.sets.get(name) ?? [])]
      .map(([key, value]) => `${key} timeout 1h expires 59m : ${value}`)
      .join(", ");

  /** As much of `nft -j list table` as `content.ts` reads. */
  const content = (): readonly object[] => [
    ...[...chains].flatMap(([name, { rules }]) => [
      { chain: { name } },
      ...rules.map(() => ({ rule: { chain: name } })),
    ]),
    ...[...tables.sets].map(([name, set]) => ({ map: { name, elem: [...set] } })),
  ];

  /** As nft prints a table. */
  const text = (): string =>
    [
      ...[...tables.sets].map(([name, set]) => {
        const flags = tables.filled.has(name) ? "flags dynamic,timeout\n\t\t" : "";
        const elements = [...set]
          .map(([key, value]) => (value === "" ? key : `${key} : ${value}`))
          .join(",\n\t\t");
        return `\tmap ${name} {\n\t\t${flags}elements = { ${elements} }\n\t}\n`;
      }),
      ...[...chains].map(([name, { rules }]) => {
        const lines = rules.map((rule) =>
          rule.text.replace("counter", `counter packets ${rule.packets()} bytes 0`),
        );
        return `\tchain ${name} {\n${lines.map((line) => `\t\t${line}\n`).join("")}\t}\n`;
      }),
    ].join("\n");

  const run = (rules: readonly Rule[], packet: Packet): Verdict | undefined => {
    for (const rule of rules) {
      const verdict = rule.run(packet);
      if (verdict === undefined) continue;
      if (verdict.startsWith("jump ")) {
        const inner = run(chain(verdict.slice(5)).rules, packet);
        if (inner !== undefined) return inner;
        continue;
      }
      // `goto` never comes back to this chain.
      return verdict.startsWith("goto ") ? run(chain(verdict.slice(5)).rules, packet) : verdict;
    }
    return undefined;
  };

  const traverse = (hook: string, packet: Packet): Verdict | undefined => {
    const hooked = [...chains.values()].filter((one) => one.hook?.name === hook);
    for (const { rules } of hooked.sort((a, b) => (a.hook?.priority ?? 0) - (b.hook?.priority ?? 0))) {
      const verdict = run(rules, packet);
      if (verdict === "drop" || verdict === "reject") return verdict;
    }
    return undefined;
  };

  const hooksOf = (packet: Packet): readonly string[] => {
    if (packet.local) return PATHS.out;
    return packet.own.includes(packet.destination) ? PATHS.in : PATHS.through;
  };

  return {
    name: (family) => (chains.size === 0 ? "" : `table ${family} inroad-proxy\n`),
    carryOut(command, name, rest) {
      if (command === "list map") return listing(name);
      if (command === "list table json") return JSON.stringify({ nftables: content() });
      if (command === "list table") return text();
      const carryOut = commands[command];
      if (carryOut === undefined) throw new Error(`unknown command: ${command}`);
      carryOut(name, rest);
      return "";
    },
    send(sent, own) {
      const packet: Packet = {
        ...sent,
        called: { destination: sent.destination, port: sent.port },
        own,
        local: own.includes(sent.source),
        mark: 0,
        translated: false,
        masqueraded: false,
      };
      let verdict: Verdict | undefined;
      // The way may change after prerouting, when the destination is another one.
      for (let step = 0; verdict === undefined && step < hooksOf(packet).length; step++) {
        verdict = traverse(hooksOf(packet)[step] ?? "", packet);
      }
      return {
        verdict: verdict === "drop" || verdict === "reject" ? verdict : "accept",
        ...(packet.translated ? { endpoint: `${packet.destination}:${packet.port}` } : {}),
        masqueraded: packet.masqueraded,
      };
    },
  };
}

/** The kernel takes no interval that overlaps another one. */
function refuseOverlap(set: ReadonlyMap<string, string>, key: string): void {
  const [name, network] = splitLast(key);
  for (const other of set.keys()) {
    const [otherName, otherNetwork] = splitLast(other);
    if (other === key || otherName !== name) continue;
    const inside = isInside(network.split("/")[0] ?? "", otherNetwork);
    if (inside || isInside(otherNetwork.split("/")[0] ?? "", network)) {
      throw new Error(`${key} overlaps ${other}`);
    }
  }
}

function splitLast(key: string): readonly [string, string] {
  const at = key.lastIndexOf(" . ");
  return at === -1 ? ["", key] : [key.slice(0, at), key.slice(at + 3)];
}
