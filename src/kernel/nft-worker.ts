/** nft scripts by a thread of this process: neither a new program for each, nor waiting for the kernel in this thread. */
import { Worker } from "node:worker_threads";
import { entryUrl } from "#lib/entry";
import { nftByNetlink } from "./nft-netlink.ts";
import type { NetNs } from "./types.ts";

export interface NftTask {
  readonly id: number;
  readonly ns: NetNs | undefined;
  readonly script: string;
  readonly json: boolean;
  /** Only by netlink: for anything else it would hold up the others for too long. */
  readonly large: boolean;
}

/** Without `said` the script was not carried out: something is wrong with it, or there is no library. */
interface NftDone {
  readonly id: number;
  readonly said: string | undefined;
}

type Run = (task: Omit<NftTask, "id">) => Promise<string | undefined>;

let running: Run | undefined;

/** From now on, small nft scripts of this thread are carried out by a thread of their own, in order. */
export function startNftThread(): void {
  running ??= start();
}

/** Carries out a script; undefined when it was not, for whatever reason. Without the thread, in this one by netlink only. */
export function nftByThread(task: Omit<NftTask, "id">): Promise<string | undefined> {
  return running?.(task) ?? Promise.resolve(nftByNetlink(task));
}

function start(): Run {
  const waiting = new Map<number, (said: string | undefined) => void>();
  let next = 0;
  const worker = new Worker(entryUrl("kernel/nft-thread"), { name: "nft" });
  const finish = (id: number, said: string | undefined): void => {
    waiting.get(id)?.(said);
    waiting.delete(id);
    if (waiting.size === 0) worker.unref();
  };
  worker.on("message", ({ id, said }: NftDone) => finish(id, said));
  // Its end is no misfortune: the program does the same.
  worker.on("error", () => undefined);
  worker.on("exit", () => {
    running = undefined;
    for (const id of waiting.keys()) finish(id, undefined);
  });
  worker.unref();
  return (task) =>
    new Promise((resolve) => {
      const id = next++;
      waiting.set(id, resolve);
      worker.ref();
      worker.postMessage({ id, ...task } satisfies NftTask);
    });
}
