/** Packet rules, given to the kernel as one transaction each. */
import { nftByThread } from "./nft-worker.ts";
import { runOrThrow } from "./run.ts";
import type { NetNs } from "./types.ts";

export interface NftOptions {
  /** What it prints is JSON. */
  readonly json?: boolean;
  /** Work that takes long, since it reads a large table: by the program, beside other work. */
  readonly large?: boolean;
}

/** Characters; a longer script is large work, too. */
const LONGEST_IN_PROCESS = 16_384;

/** Milliseconds that the program may take for work that is not large. */
const LONGEST_SMALL_MS = 30_000;

/**
 * Carries out an nft script (`nft -f -`): all of it or nothing. Returns what it printed. What changes Services
 * and endpoints goes to the kernel by netlink; other small work is done in this process after `startNftThread`, by the library
 * that the program nft is made of; the rest by the program, which is killed when it hangs.
 * @throws InroadError `NftFailed` with what nft said.
 */
export async function nft(
  ns: NetNs | undefined,
  script: string,
  { json = false, large = script.length > LONGEST_IN_PROCESS }: NftOptions = {},
): Promise<string> {
  const said = await nftByThread({ ns, script, json, large });
  if (said !== undefined) return said;
  // After a failure, too: the program's words name the line that is wrong.
  // nft takes JSON only from a file for a script of its own, so this one goes as an argument.
  const limit = large ? {} : { withinMs: LONGEST_SMALL_MS };
  const options = { code: "NftFailed", ...limit };
  return json
    ? runOrThrow(ns, "nft", ["-j", script], options)
    : runOrThrow(ns, "nft", ["-f", "-"], { ...options, input: script });
}

/**
 * Carries out an iptables-restore text without flushing what it does not name (`--noflush`), waiting up to five
 * seconds for the lock of other users.
 * @param program `iptables-restore`, `ip6tables-legacy-restore` ...
 * @throws InroadError `IptablesFailed` with what iptables-restore said.
 */
export async function iptablesRestore(
  ns: NetNs | undefined,
  text: string,
  program = "iptables-restore",
): Promise<void> {
  await runOrThrow(ns, program, ["--noflush", "--wait", "5"], {
    code: "IptablesFailed",
    input: text,
  });
}
