/** Keeps a node's table `inroad-policy` equal to the newest snapshot, one transaction per change. */
import { messageOf } from "#lib/errors";
import type { IpFamily } from "#lib/ip";
import type { Log } from "#lib/log";
import { nft } from "#kernel";
import type { NetNs } from "#kernel";
import { isolating } from "#model";
import type { Snapshot, SnapshotSource } from "#model";
import type { PodIdentity } from "../sandboxes.ts";
import { isIntact } from "./content.ts";
import { readDenied } from "./observe.ts";
import type { DeniedConnection } from "./observe.ts";
import { deniedSet, directions, families, planPolicy } from "./plan.ts";
import type { TableContent } from "./plan.ts";
import { changeScripts, rebuildScripts, tableOf } from "./script.ts";

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 5000;
const SHORTEST_CHECK_MS = 1000;
/** A check may take up to one part in this many of the time. */
const CHECK_SHARE = 200;

/** The policies of one node. */
export interface PolicyPlane {
  /** Resolves when the first snapshot is in force. */
  readonly ready: Promise<void>;
  /** Resolves when this snapshot of the source, or a later one, is in force; rejects if closed before. */
  programmed(snapshot: Snapshot): Promise<void>;
  /**
   * Resolves when a snapshot is in force that holds the pod, with this address if any policy selects it: from then on,
   * its first packet meets what is meant for it. Rejects if closed before.
   */
  covers(pod: PodIdentity, address: string): Promise<void>;
  /** What was kept back within the last minute; where there is too much of it, only a part. Throws `NftFailed`. */
  denied(): Promise<readonly DeniedConnection[]>;
  /** Ends the work and takes the tables away. */
  close(): Promise<void>;
}

export interface PolicyPlaneOptions {
  readonly source: SnapshotSource;
  readonly node: string;
  readonly ns: NetNs;
  readonly log: Log;
}

type Holds = (snapshot: Snapshot, place: number) => boolean;

/** Those who wait for a snapshot in force of which something is true. */
function createWaiters() {
  let waiting: { readonly holds: Holds; resolve(): void; reject(error: Error): void }[] = [];
  let newest: Parameters<Holds> | undefined;
  let over: Error | undefined;
  return {
    until: (holds: Holds): Promise<void> =>
      new Promise((resolve, reject) => {
        if (newest !== undefined && holds(...newest)) return resolve();
        if (over !== undefined) return reject(over);
        waiting.push({ holds, resolve, reject });
      }),
    /** A snapshot came in force. */
    announce(...now: Parameters<Holds>): void {
      newest = now;
      const reached = waiting.filter(({ holds }) => holds(...now));
      waiting = waiting.filter((one) => !reached.includes(one));
      for (const { resolve } of reached) resolve();
    },
    end(error: Error): void {
      over = error;
      for (const { reject } of waiting) reject(error);
    },
  };
}

/**
 * Begins at once, with the place of a predecessor's tables if there are any. A failed transaction is followed by making the
 * tables anew, with growing pauses; own rules that somebody deleted are put back.
 */
export function startPolicyPlane({ source, node, ns, log }: PolicyPlaneOptions): PolicyPlane {
  const closing = new AbortController();
  /** Undefined while it is not known. */
  let inForce: readonly TableContent[] | undefined;
  /** Families that may have a table. */
  let present: Set<IpFamily> | undefined;
  const waiters = createWaiters();
  let done = 0;
  let wanted = 1;
  const places = new WeakMap<Snapshot, number>([[source.current(), wanted]]);
  let working: Promise<void> | undefined;

  const step = async (): Promise<void> => {
    const [snapshot, place] = [source.current(), wanted];
    const content = planPolicy(snapshot, node);
    present ??= await familiesWithTable(ns);
    const scripts =
      inForce === undefined ? rebuildScripts(content, present) : changeScripts(inForce, content);
    for (const { family } of content) present.add(family);
    // Unknown if one of them fails.
    if (scripts.length > 0) inForce = undefined;
    for (const script of scripts) await nft(ns, `${script}\n`);
    inForce = content;
    done = place;
    waiters.announce(snapshot, place);
  };

  const isBehind = (): boolean => !closing.signal.aborted && (done < wanted || inForce === undefined);

  const work = async (): Promise<void> => {
    let failures = 0;
    while (isBehind()) {
      try {
        await step();
        failures = 0;
      } catch (error) {
        const pause = Math.min(FIRST_PAUSE_MS * 2 ** failures++, LONGEST_PAUSE_MS);
        log.warn(`policies not in force, trying again in ${pause} ms: ${messageOf(error)}`);
        await sleep(pause, closing.signal);
      }
    }
  };

  const kick = (): void => {
    working ??= work().finally(() => {
      working = undefined;
      // What came between the last look and now.
      if (isBehind()) kick();
    });
  };

  const check = async (): Promise<void> => {
    let pause = SHORTEST_CHECK_MS;
    while (!closing.signal.aborted) {
      await sleep(pause, closing.signal);
      if (working !== undefined || inForce === undefined || closing.signal.aborted) continue;
      const began = performance.now();
      // While the check runs it holds the place of the worker, so that the tables do not change under it.
      working = areIntact(ns, inForce).then((intact) => {
        working = undefined;
        if (intact) return;
        log.warn("somebody deleted rules of ours: putting them back");
        inForce = undefined;
      });
      await working;
      pause = Math.max(SHORTEST_CHECK_MS, CHECK_SHARE * (performance.now() - began));
      if (isBehind()) kick();
    }
  };

  const programmed = (snapshot: Snapshot): Promise<void> => {
    const from = places.get(snapshot) ?? wanted;
    return waiters.until((_, place) => place >= from);
  };

  const unsubscribe = source.subscribe((snapshot) => {
    places.set(snapshot, ++wanted);
    kick();
  });
  const ready = programmed(source.current());
  ready.catch(() => undefined);
  kick();
  const checking = check();

  return {
    ready,
    programmed,
    covers: (pod, address) => waiters.until((snapshot) => holdsPod(snapshot, pod, address)),
    async denied() {
      const sets = [...(await familiesWithTable(ns))].flatMap((family) =>
        directions.map((direction) => ({ direction, set: `${tableOf(family)} ${deniedSet(direction)}` })),
      );
      const read = sets.map(async ({ direction, set }) =>
        readDenied(await nft(ns, `list set ${set}\n`, { json: true }), direction),
      );
      return (await Promise.all(read)).flat();
    },
    async close() {
      unsubscribe();
      closing.abort();
      await Promise.all([working, checking]);
      waiters.end(new Error("the policies were closed"));
      for (const script of rebuildScripts([], present ?? [])) await nft(ns, `${script}\n`);
    },
  };
}

async function familiesWithTable(ns: NetNs): Promise<Set<IpFamily>> {
  const tables = (await nft(ns, "list tables\n")).split("\n");
  return new Set(families.filter((family) => tables.includes(`table ${tableOf(family)}`)));
}

/** A table that cannot be listed is gone. */
async function areIntact(ns: NetNs, contents: readonly TableContent[]): Promise<boolean> {
  const intact = contents.map(async (content) => {
    const listing = nft(ns, `list table ${tableOf(content.family)}\n`, { json: true });
    return listing.then(
      (json) => isIntact(json, content),
      () => false,
    );
  });
  return (await Promise.all(intact)).every(Boolean);
}

function holdsPod(snapshot: Snapshot, { namespace, name, uid }: PodIdentity, address: string): boolean {
  const pod = snapshot.pods.get(`${namespace}/${name}`);
  if (pod?.uid !== uid) return false;
  const selected = directions.some((way) => isolating(snapshot, pod, way).length > 0);
  return !selected || snapshot.podsByAddress.get(address)?.uid === uid;
}

/** Waits, but not longer than until the signal. */
function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
  });
}
