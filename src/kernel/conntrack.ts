/** The connection table of a namespace: which flows exist, how they were translated, and their marks. */
import { readFileSync } from "node:fs";
import { codeOf } from "#lib/errors";
import { familyOf as familyOfAddress } from "#lib/ip";
import type { IpFamily } from "#lib/ip";
import { inNetNs } from "./netns.ts";
import { runOrThrow } from "./run.ts";
import type { ConntrackEntry, NetNs, Tuple } from "./types.ts";

/** Fields of the original direction; what is left out matches everything. */
export interface ConntrackFilter {
  readonly protocol: "tcp" | "udp";
  /** That of the addresses; IPv4 if none is given. */
  readonly family?: IpFamily;
  readonly source?: string;
  readonly sourcePort?: number;
  readonly destination?: string;
  readonly destinationPort?: number;
}

/**
 * Entries whose original direction matches. Read with the program `conntrack`; where it is not installed, from
 * /proc/net/nf_conntrack of the namespace (absent on many kernels: then `MissingProgram` is thrown).
 */
export async function conntrack(ns: NetNs | undefined, filter: ConntrackFilter): Promise<ConntrackEntry[]> {
  const text = await readTable(ns, filter);
  return parseConntrack(text).filter((entry) => matches(entry, filter));
}

async function readTable(ns: NetNs | undefined, filter: ConntrackFilter): Promise<string> {
  const args = ["-L", "-f", familyOf(filter) === "IPv4" ? "ipv4" : "ipv6"];
  args.push("-p", filter.protocol, "-o", "extended");
  if (filter.source !== undefined) args.push("--orig-src", filter.source);
  if (filter.destination !== undefined) args.push("--orig-dst", filter.destination);
  if (filter.sourcePort !== undefined) args.push("--orig-port-src", String(filter.sourcePort));
  if (filter.destinationPort !== undefined) args.push("--orig-port-dst", String(filter.destinationPort));
  try {
    return await runOrThrow(ns, "conntrack", args, { code: "ConntrackFailed" });
  } catch (error) {
    if (codeOf(error) !== "MissingProgram") throw error;
    const text = inNetNs(ns, () => readIfThere("/proc/thread-self/net/nf_conntrack"));
    if (text === undefined) throw error;
    return text;
  }
}

function familyOf({ family, source, destination }: ConntrackFilter): IpFamily {
  return family ?? familyOfAddress(source ?? destination ?? "0.0.0.0");
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function matches(entry: ConntrackEntry, filter: ConntrackFilter): boolean {
  const { original } = entry;
  return (
    entry.protocol === filter.protocol &&
    familyOfAddress(original.source) === familyOf(filter) &&
    (filter.source === undefined || original.source === filter.source) &&
    (filter.sourcePort === undefined || original.sourcePort === filter.sourcePort) &&
    (filter.destination === undefined || original.destination === filter.destination) &&
    (filter.destinationPort === undefined || original.destinationPort === filter.destinationPort)
  );
}

/** Reads the lines of `conntrack -L -o extended` or of /proc/net/nf_conntrack; skips what it does not know. */
export function parseConntrack(text: string): ConntrackEntry[] {
  return text.split("\n").flatMap((line) => parseLine(line) ?? []);
}

/** `ipv4 2 tcp 6 431999 ESTABLISHED src=.. dst=.. sport=.. dport=.. src=.. dst=.. sport=.. dport=.. [ASSURED] mark=0 use=1` */
function parseLine(line: string): ConntrackEntry | undefined {
  const words = line.split(/\s+/);
  const protocol = words[2];
  if (protocol !== "tcp" && protocol !== "udp") return undefined;
  const pairs = words.flatMap((word) => {
    const at = word.indexOf("=");
    return at === -1 ? [] : [[word.slice(0, at), word.slice(at + 1)] as const];
  });
  const values = (key: string): string[] => pairs.flatMap(([name, value]) => (name === key ? [value] : []));
  const tuple = (index: number): Tuple | undefined => {
    const source = values("src")[index];
    const destination = values("dst")[index];
    const sourcePort = Number(values("sport")[index]);
    const destinationPort = Number(values("dport")[index]);
    if (source === undefined || destination === undefined) return undefined;
    if (!Number.isInteger(sourcePort) || !Number.isInteger(destinationPort)) return undefined;
    return { source, destination, sourcePort, destinationPort };
  };
  const original = tuple(0);
  const reply = tuple(1);
  if (original === undefined || reply === undefined) return undefined;
  const state = words.slice(3).find((word) => /^[A-Z][A-Z0-9_]+$/.test(word));
  return { protocol, state, original, reply, mark: Number(values("mark")[0] ?? 0) || 0 };
}
