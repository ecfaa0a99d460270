/** What a kind of rules must be able to do; `apply.ts` drives it, the contract suite holds every kind to it. */
import type { CommandResult, NftOptions } from "#kernel";
import type { ProxyPlan } from "./plan.ts";
import type { Backend, Rotation } from "./rotation.ts";

export interface RuleBackend {
  /** Puts the whole plan in force, whatever own rules are there; nobody else's rules are touched. */
  sync(plan: ProxyPlan): Promise<void>;
  /**
   * Takes what is there of ours, whoever made it, for what is in force, so that the next `update` changes only what is not
   * as it should be. Returns the order and the turn of those of the lists that were found; where the rules of a list
   * will be written anew its slots are turned already. Undefined: nothing there can be taken over.
   */
  adopt?(plan: ProxyPlan): Promise<ReadonlyMap<string, Rotation> | undefined>;
  /** Changes what is in force (the plan of the last call that succeeded) into `plan`. */
  update(plan: ProxyPlan): Promise<void>;
  /**
   * The slot that the next new connection to each of these lists gets; lists whose counter cannot be read, or whose
   * reading would cost too much, are left out.
   */
  turns(lists: readonly string[]): Promise<ReadonlyMap<string, number>>;
  /**
   * How many connections every slot of the lists has got since its rule was written, by list; lists that cannot be read
   * are left out. Not all slots are read at the same moment.
   */
  counts?(): Promise<ReadonlyMap<string, readonly number[]>>;
  /** The rules of a list as the kernel has them now; empty if there are none. */
  rulesOf(list: string): Promise<readonly string[]>;
  /** The endpoint that a client's next connection to a list with affinity goes to; undefined: to whose turn it is. */
  remembered?(list: string, client: string): Promise<Backend | undefined>;
  /** Whether all own rules are still there. */
  intact(): Promise<boolean>;
  /** Takes all own rules away. */
  remove(): Promise<void>;
}

/** The part of the kernel that rules are made with, in one node's namespace. */
export interface RuleKernel {
  /** Carries out a script; returns what it printed. */
  nft(script: string, options?: NftOptions): Promise<string>;
  /** @param program `iptables-restore`, `ip6tables-legacy-restore` ... */
  iptablesRestore(text: string, program: string): Promise<void>;
  run(command: string, args: readonly string[], input?: string): Promise<CommandResult>;
  /** By path below /proc/sys. */
  setSysctls(values: Readonly<Record<string, string>>): void;
}

/**
 * Cuts pieces of text, each of which must stay whole, into groups of at most `limit` bytes. An ordinary user's socket
 * takes about 200 kB of netlink messages at once (EMSGSIZE beyond).
 */
export function inChunks<T>(pieces: readonly T[], sizeOf: (piece: T) => number, limit: number): T[][] {
  const chunks: T[][] = [];
  let room = 0;
  for (const piece of pieces) {
    const size = sizeOf(piece);
    if (size > room || chunks.length === 0) {
      chunks.push([]);
      room = limit;
    }
    chunks.at(-1)?.push(piece);
    room -= size;
  }
  return chunks;
}
