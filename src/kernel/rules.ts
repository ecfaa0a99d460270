/** Packet rules, given to the kernel as one transaction each. */
import { runOrThrow } from "./run.ts";
import type { NetNs } from "./types.ts";

/**
 * Carries out an nft script (`nft -f -`): all of it or nothing.
 * @throws InroadError `NftFailed` with what nft said.
 */
export async function nft(ns: NetNs | undefined, script: string): Promise<void> {
  await runOrThrow(ns, "nft", ["-f", "-"], { code: "NftFailed", input: script });
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
