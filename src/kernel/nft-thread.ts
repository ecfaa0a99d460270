/** The thread of `nft-worker.ts`. */
import { parentPort } from "node:worker_threads";
import { openLibnftables } from "./libnftables.ts";
import { inNetNs } from "./netns.ts";
import type { NftTask } from "./nft-worker.ts";

const library = openLibnftables();

parentPort?.on("message", ({ id, ns, script, json }: NftTask) => {
  const said = library === undefined ? undefined : inNetNs(ns, () => library(script, json));
  parentPort?.postMessage({ id, said });
});
