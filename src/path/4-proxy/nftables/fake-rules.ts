/** For tests: one rule in nft's words, made into something that packets can be run through. */
import { isInside } from "#lib/ip";
import { sourceHash } from "./source-hash.ts";

export interface Packet {
  readonly source: string;
  destination: string;
  port: number;
  readonly protocol: "TCP" | "UDP" | "SCTP";
  /** What the client called (`ct original`). */
  readonly called: { readonly destination: string; readonly port: number };
  /** Addresses of the node. */
  readonly own: readonly string[];
  /** Sent by the node itself. */
  readonly local: boolean;
  mark: number;
  translated: boolean;
  masqueraded: boolean;
}

/** `accept`, `drop`, `reject`, `goto CHAIN`, `jump CHAIN`. */
export type Verdict = string;

export interface Rule {
  readonly text: string;
  /** How many packets came to its counter. */
  packets(): number;
  run(packet: Packet): Verdict | undefined;
}

export interface Tables {
  readonly sets: Map<string, Map<string, string>>;
  /** Names of the sets whose last part is a network. */
  readonly intervals: Set<string>;
  /** Names of the maps that packets fill. */
  readonly filled: Set<string>;
}

/** Goes on (true), ends the rule (false), or decides. */
type Step = (packet: Packet) => boolean | { readonly verdict: Verdict };
type Value = (packet: Packet) => string;

const fields: readonly (readonly [RegExp, Value])[] = [
  [/^ip6? saddr/, (packet) => packet.source],
  [/^ip6? daddr/, (packet) => packet.destination],
  [/^meta l4proto/, (packet) => packet.protocol.toLowerCase()],
  [/^(?:th|tcp|udp|sctp) dport/, (packet) => String(packet.port)],
  [/^ct original ip6? daddr/, (packet) => packet.called.destination],
  [/^ct original proto-dst/, (packet) => String(packet.called.port)],
];

/** @throws Error for words that it does not know. */
export function compileRule(text: string, tables: Tables): Rule {
  const steps: Step[] = [];
  let packets = 0;
  for (let rest = text; rest !== "";) {
    const [step, used] = rest.startsWith("counter ")
      ? ([() => ((packets += 1), true), "counter".length] as const)
      : compileStep(rest, tables);
    steps.push(step);
    rest = rest.slice(used).trimStart();
  }
  return {
    text,
    packets: () => packets,
    run(packet) {
      for (const step of steps) {
        const result = step(packet);
        if (result === false) return undefined;
        if (result !== true) return result.verdict;
      }
      return undefined;
    },
  };
}

type Maker = (parts: readonly string[], tables: Tables) => Step;

const statements: readonly (readonly [RegExp, Maker])[] = [
  [
    /^meta l4proto (tcp|udp|sctp)(?= |$)/,
    ([name]) =>
      (packet) =>
        packet.protocol.toLowerCase() === name,
  ],
  [
    /^meta mark set meta mark or (0x\d+)/,
    ([bits]) =>
      (packet) => ((packet.mark |= Number(bits)), true),
  ],
  [
    /^meta mark set meta mark xor (0x\d+)/,
    ([bits]) =>
      (packet) => ((packet.mark ^= Number(bits)), true),
  ],
  [
    /^meta mark and (0x\d+) != 0/,
    ([bits]) =>
      (packet) =>
        (packet.mark & Number(bits)) !== 0,
  ],
  [/^ct state new/, () => () => true],
  [/^ct status dnat/, () => (packet) => packet.translated],
  [/^fib saddr type local/, () => (packet) => packet.own.includes(packet.source)],
  [
    /^((?:goto|jump) \S+)/,
    ([verdict = ""]) =>
      () => ({ verdict }),
  ],
  [
    /^(drop)/,
    ([verdict = ""]) =>
      () => ({ verdict }),
  ],
  [/^reject(?: with tcp reset)?$/, () => () => ({ verdict: "reject" })],
  [/^masquerade fully-random/, () => (packet) => ((packet.masqueraded = true), { verdict: "accept" })],
  [
    /^(?:tcp|udp|sctp) dport (\d+)(?= )/,
    ([port]) =>
      (packet) =>
        packet.port === Number(port),
  ],
  [/^dnat ip6? to (.+) map @(\S+) : (\d+)/, translate],
  [/^dnat ip6? addr \. port to (.+) map @(\S+)/, translate],
  [/^update @(\S+) \{ (.+) timeout \d+s : (.+) \}/, remember],
];

function compileStep(text: string, tables: Tables): readonly [Step, number] {
  for (const [pattern, make] of statements) {
    const found = pattern.exec(text);
    if (found !== null) return [make(found.slice(1), tables), found[0].length];
  }
  const [value, used] = fieldsAt(text);
  const [whole = "", not, kind, name = ""] = /^ (!= )?(vmap )?@(\S+)/.exec(text.slice(used)) ?? [];
  if (used === 0 || whole === "") throw new Error(`cannot read: ${text}`);
  known(tables, name);
  const step: Step = (packet) => {
    const found = lookUp(tables, name, value(packet));
    if (kind === undefined) return (found !== undefined) === (not === undefined);
    return found === undefined ? false : { verdict: found };
  };
  return [step, used + whole.length];
}

/** One field or several joined by dots. */
function fieldsAt(text: string): readonly [Value, number] {
  const values: Value[] = [];
  let used = 0;
  for (;;) {
    const rest = text.slice(used);
    const found = fields.flatMap(([pattern, value]) => {
      const match = pattern.exec(rest);
      return match === null ? [] : [[match[0].length, value] as const];
    })[0];
    if (found === undefined) break;
    values.push(found[1]);
    used += found[0];
    if (!text.startsWith(" . ", used)) break;
    used += 3;
  }
  return [(packet) => values.map((value) => value(packet)).join(" . "), used];
}

/** A map to addresses, with a port for all, or one to addresses and ports. */
function translate([expression = "", name = "", fixedPort]: readonly string[], tables: Tables): Step {
  known(tables, name);
  const key = numberAt(expression) ?? fieldsAt(expression)[0];
  return (packet) => {
    const found = lookUp(tables, name, key(packet));
    if (found === undefined) return false;
    const [address = "", port = fixedPort] = found.split(" . ");
    Object.assign(packet, { destination: address, port: Number(port), translated: true });
    return { verdict: "accept" };
  };
}

/** `numgen inc` counts from 0 for every rule. */
function numberAt(expression: string): Value | undefined {
  const [, kind, modulus, offset] =
    /^(numgen inc|jhash ip6? saddr) mod (\d+)(?: seed 0x0)? offset (\d+)$/.exec(expression) ?? [];
  if (kind === undefined) return undefined;
  let turn = 0;
  const next: Value =
    kind === "numgen inc"
      ? () => String((turn++ % Number(modulus)) + Number(offset))
      : (packet) => String(sourceHash(packet.source, Number(modulus)) + Number(offset));
  return next;
}

function remember([name = "", key = "", value = ""]: readonly string[], tables: Tables): Step {
  const map = known(tables, name);
  const [keyOf] = fieldsAt(key);
  const [valueOf] = fieldsAt(value);
  return (packet) => {
    // As in the kernel: what is there stays.
    if (!map.has(keyOf(packet))) map.set(keyOf(packet), valueOf(packet));
    return true;
  };
}

function known(tables: Tables, name: string): Map<string, string> {
  const set = tables.sets.get(name);
  if (set === undefined) throw new Error(`no set ${name}`);
  return set;
}

function lookUp(tables: Tables, name: string, key: string): string | undefined {
  const set = tables.sets.get(name);
  if (set === undefined || !tables.intervals.has(name)) return set?.get(key);
  const wanted = key.split(" . ");
  for (const [element, value] of set) {
    const parts = element.split(" . ");
    const matches = parts.every(
      (part, i) => part === wanted[i] || (part.includes("/") && isInside(wanted[i] ?? "", part)),
    );
    if (matches) return value;
  }
  return undefined;
}
