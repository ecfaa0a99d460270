/** nft scripts that we can tell the kernel ourselves. */
import { sendNetlinkBatch } from "./libc.ts";
import { inNetNs } from "./netns.ts";
import { encodeNftScript } from "./nft-lines.ts";
import type { NetNs } from "./types.ts";

const NETLINK_NETFILTER = 12;

/**
 * Carries out a script as one transaction and returns what nft would have printed: nothing. Undefined when it was not
 * carried out: it is no such script, or the kernel refused it. Waits for the kernel: 0.3 ms, or an RCU grace period of some
 * 10 ms where something is deleted.
 */
export function nftByNetlink(task: {
  readonly ns: NetNs | undefined;
  readonly script: string;
  readonly json: boolean;
}): string | undefined {
  const batch = task.json ? undefined : encodeNftScript(task.script);
  if (batch === undefined) return undefined;
  return inNetNs(task.ns, () => sendNetlinkBatch(NETLINK_NETFILTER, batch)) ? "" : undefined;
}
