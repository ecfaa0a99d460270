/** The thread of `nft-worker.ts`. */
import { parentPort } from "node:worker_threads";
import { openLibnftables } from "./libnftables.ts";
import { inNetNs } from "./netns.ts";
import { nftByNetlink } from "./nft-netlink.ts";
import type { NftTask } from "./nft-worker.ts";

const library = openLibnftables();

parentPort?.on("message", (task: NftTask) => {
  parentPort?.postMessage({ id: task.id, said: nftByNetlink(task) ?? byLibrary(task) });
});

function byLibrary({ ns, script, json, large }: NftTask): string | undefined {
  return library === undefined || large ? undefined : inNetNs(ns, () => library(script, json));
}
