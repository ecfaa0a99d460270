/** Packet rules, given to the kernel as one transaction each. */
import { openLibnftables } from "./libnftables.ts";
import { inNetNs } from "./netns.ts";
import { runOrThrow } from "./run.ts";
import type { NetNs } from "./types.ts";

export interface NftOptions {
  /** What it prints is JSON. */
  readonly json?: boolean;
  /** Work that takes long, since it reads a large table: done apart from this thread. */
  readonly large?: boolean;
}

/** Characters; a longer script is large work, too. */
const LONGEST_IN_PROCESS = 16_384;

let library: ReturnType<typeof openLibnftables> | "unopened" = "unopened";

/**
 * Carries out an nft script (`nft -f -`): all of it or nothing. Returns what it printed. Small work is done in this
 * process, by the library that the program nft is made of.
 * @throws InroadError `NftFailed` with what nft said.
 */
export async function nft(
  ns: NetNs | undefined,
  script: string,
  { json = false, large = script.length > LONGEST_IN_PROCESS }: NftOptions = {},
): Promise<string> {
  if (library === "unopened") library = openLibnftables();
  const run = library;
  const said = large ? undefined : inNetNs(ns, () => run?.(script, json));
  if (said !== undefined) return said;
  // After a failure, too: the program's words name the line that is wrong.
  const args = [...(json ? ["-j"] : []), "-f", "-"];
  return runOrThrow(ns, "nft", args, { code: "NftFailed", input: script });
}

/**
 * Carries out an iptables-restore text without flushing what it does not name (`--noflush`), waiting up to five
 * seconds for the lock of other users.
 * @throws InroadError `IptablesFailed` with what iptables-restore said.
 */
export async function iptablesRestore(ns: NetNs | undefined, text: string): Promise<void> {
  await runOrThrow(ns, "iptables-restore", ["--noflush", "--wait", "5"], {
    code: "IptablesFailed",
    input: text,
  });
}
