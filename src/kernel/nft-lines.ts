/**
 * The common lines of nft scripts as one nfnetlink transaction: what changes endpoints and Services. Anything else is left
 * to nft, and so is every script that the kernel refuses: nft's words name the line. Pure.
 *
 * nft reads the names of all sets and chains before it does anything, so its least change takes longer the larger the table
 * is. Message format: linux/netfilter/nf_tables.h and nfnetlink.h; attribute values are in network byte order.
 */
import ipaddr from "ipaddr.js";
import { isIPv4, isIPv6 } from "#lib/ip";
import { attribute, bareMessage, requestFlags, text, u32, u8 } from "./netlink-bytes.ts";

const NFNL_SUBSYS_NFTABLES = 10;
const NFNL_MSG_BATCH_BEGIN = 16;
const NFNL_MSG_BATCH_END = 17;
const NLA_F_NESTED = 0x8000;
const NLM_F_APPEND = 0x800;
const { ack, create } = requestFlags;

const messageTypes = {
  newChain: 3,
  deleteChain: 5,
  newRule: 6,
  deleteRule: 8,
  newElement: 12,
  deleteElement: 14,
} as const;
const families = { ip: 2, ip6: 10 } as const;

/** A message with fewer elements than this is shorter than an attribute may be. */
const MOST_ELEMENTS = 400;

interface Line {
  readonly family: keyof typeof families;
  readonly table: string;
  /** Of a chain, set or map. */
  readonly name: string;
  readonly rest: string;
}

type Encoder = (line: Line) => readonly Buffer[] | undefined;

const verbs: Readonly<Record<string, Encoder>> = {
  "add chain": (line) =>
    whole(line, message("newChain", create, line, name(1, line.table), name(3, line.name))),
  "delete chain": (line) =>
    whole(line, message("deleteChain", 0, line, name(1, line.table), name(3, line.name))),
  "flush chain": (line) =>
    whole(line, message("deleteRule", 0, line, name(1, line.table), name(2, line.name))),
  "add rule": addRule,
  "add element": (line) => elements("newElement", create, line),
  "delete element": (line) => elements("deleteElement", 0, line),
};

/** The script as one batch; undefined when it holds a line that only nft knows. */
export function encodeNftScript(script: string): Buffer | undefined {
  const messages: Buffer[] = [];
  for (const line of script.split("\n")) {
    if (line === "") continue;
    const [, verb = "", family, table = "", object = "", rest = ""] =
      /^((?:add|delete|flush) (?:chain|rule|element)) (ip6?) (\S+) (\S+) ?(.*)$/.exec(line) ?? [];
    if (family !== "ip" && family !== "ip6") return undefined;
    const encoded = verbs[verb]?.({ family, table, name: object, rest });
    if (encoded === undefined) return undefined;
    messages.push(...encoded);
  }
  if (messages.length === 0) return undefined;
  return Buffer.concat([edge(NFNL_MSG_BATCH_BEGIN, 0), ...messages, edge(NFNL_MSG_BATCH_END, ack)]);
}

/** Begin or end of a batch; its header names the subsystem instead of a resource. */
function edge(type: number, flags: number): Buffer {
  return bareMessage(type, flags, u8(0, 0, 0, NFNL_SUBSYS_NFTABLES));
}

function message(
  type: keyof typeof messageTypes,
  flags: number,
  { family }: Pick<Line, "family">,
  ...attributes: readonly Buffer[]
): Buffer {
  const number = (NFNL_SUBSYS_NFTABLES << 8) | messageTypes[type];
  return bareMessage(number, flags, u8(families[family], 0, 0, 0), ...attributes);
}

/** Only if nothing more stands on the line. */
function whole({ rest }: Line, encoded: Buffer): readonly Buffer[] | undefined {
  return rest === "" ? [encoded] : undefined;
}

function name(type: number, value: string): Buffer {
  return attribute(type, text(value));
}

function nested(type: number, ...parts: readonly Buffer[]): Buffer {
  return attribute(type | NLA_F_NESTED, ...parts);
}

function number(type: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return attribute(type, bytes);
}

const NFTA_LIST_ELEM = 1;
const NFTA_SET_ELEM_KEY = 1;
const NFTA_SET_ELEM_DATA = 2;

/** `{ KEY, KEY : VALUE ... }` */
function elements(
  type: "newElement" | "deleteElement",
  flags: number,
  line: Line,
): readonly Buffer[] | undefined {
  const body = /^\{ (.*) \}$/.exec(line.rest)?.[1];
  if (body === undefined) return undefined;
  const encoded: Buffer[] = [];
  for (const element of body.split(", ")) {
    const [keyText = "", valueText, more] = element.split(" : ");
    const key = more === undefined ? keyOf(keyText) : undefined;
    const value = valueText === undefined ? Buffer.alloc(0) : valueOf(valueText);
    if (key === undefined || value === undefined) return undefined;
    const data = valueText === undefined ? [] : [nested(NFTA_SET_ELEM_DATA, value)];
    encoded.push(nested(NFTA_LIST_ELEM, nested(NFTA_SET_ELEM_KEY, key), ...data));
  }
  const messages: Buffer[] = [];
  for (let from = 0; from < encoded.length; from += MOST_ELEMENTS) {
    const list = nested(3, ...encoded.slice(from, from + MOST_ELEMENTS));
    messages.push(message(type, flags, line, name(1, line.table), name(2, line.name), list));
  }
  return messages;
}

const NFTA_DATA_VALUE = 1;
const NFTA_DATA_VERDICT = 2;

/** Numbers that stand alone are of `numgen`, in the machine's byte order; others are ports. */
function keyOf(words: string): Buffer | undefined {
  if (/^\d+$/.test(words)) return attribute(NFTA_DATA_VALUE, u32(Number(words)));
  return concatenated(words);
}

/** The kernel's numbers of verdicts; those of jumps are negative. */
const verdicts: Readonly<Record<string, number>> = { drop: 0, accept: 1, jump: -3, goto: -4 };

function valueOf(words: string): Buffer | undefined {
  const [verb = "", chain, more] = words.split(" ");
  const code = verdicts[verb];
  if (code === undefined) return concatenated(words);
  if (more !== undefined || code < 0 !== (chain !== undefined)) return undefined;
  return nested(NFTA_DATA_VERDICT, number(1, code), ...(chain === undefined ? [] : [name(2, chain)]));
}

const protocols: Readonly<Record<string, number>> = { tcp: 6, udp: 17, sctp: 132 };

/** Parts joined by ` . `, each filled up to a multiple of four bytes. */
function concatenated(words: string): Buffer | undefined {
  const parts: Buffer[] = [];
  for (const word of words.split(" . ")) {
    const protocol = protocols[word];
    if (isIPv4(word) || isIPv6(word)) parts.push(Buffer.from(ipaddr.parse(word).toByteArray()));
    else if (protocol !== undefined) parts.push(u8(protocol, 0, 0, 0));
    else if (/^\d{1,5}$/.test(word) && Number(word) < 65_536) {
      parts.push(u8(Number(word) >> 8, Number(word) & 255, 0, 0));
    } else return undefined;
  }
  return attribute(NFTA_DATA_VALUE, Buffer.concat(parts));
}

/** The rule by which a list of endpoints takes turns. */
const turnRule =
  /^meta l4proto (tcp|udp|sctp) counter dnat (ip6?) addr \. port to numgen inc mod (\d+) offset (\d+) map @(\S+)$/;

const registers = { first: 1, second32: 9, second128: 2 } as const;

function addRule(line: Line): readonly Buffer[] | undefined {
  const [, protocol = "", family, modulus, offset, map = ""] = turnRule.exec(line.rest) ?? [];
  const l4proto = protocols[protocol];
  if (l4proto === undefined || family !== line.family) return undefined;
  const { first } = registers;
  const port = line.family === "ip" ? registers.second32 : registers.second128;
  const expressions = nested(
    4,
    // meta l4proto into the register, and compared.
    expression("meta", number(2, 16), number(1, first)),
    expression("cmp", number(1, first), number(2, 0), nested(3, attribute(NFTA_DATA_VALUE, u8(l4proto)))),
    expression("counter"),
    expression(
      "numgen",
      number(1, first),
      number(2, Number(modulus)),
      number(3, 0),
      number(4, Number(offset)),
    ),
    expression("lookup", number(2, first), number(3, first), name(1, map)),
    // DNAT to the address and port that the map gave.
    expression("nat", number(1, 1), number(2, families[line.family]), number(3, first), number(5, port)),
  );
  return [
    message("newRule", create | NLM_F_APPEND, line, name(1, line.table), name(2, line.name), expressions),
  ];
}

function expression(kind: string, ...data: readonly Buffer[]): Buffer {
  return nested(NFTA_LIST_ELEM, name(1, kind), nested(2, ...data));
}
