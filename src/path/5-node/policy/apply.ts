/** Keeps a node's table `inroad-policy` equal to the newest snapshot, one transaction per change. */
import type { IpFamily } from "#lib/ip";
import { startKeeping } from "#lib/keeper";
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

/** Begins at once, with the place of a predecessor's tables if there are any. */
export function startPolicyPlane({ source, node, ns, log }: PolicyPlaneOptions): PolicyPlane {
  let inForce: readonly TableContent[] = [];
  /** Families that may have a table. */
  let present: Set<IpFamily> | undefined;

  const put = async (snapshot: Snapshot, anew: boolean): Promise<void> => {
    const content = planPolicy(snapshot, node);
    present ??= await familiesWithTable(ns);
    const scripts = anew ? rebuildScripts(content, present) : changeScripts(inForce, content);
    for (const { family } of content) present.add(family);
    for (const script of scripts) await nft(ns, `${script}\n`);
    inForce = content;
  };
  const intact = (): Promise<boolean> => areIntact(ns, inForce);
  const keeper = startKeeping({ what: "policies", source, put, intact, log });

  return {
    ready: keeper.ready,
    programmed: keeper.programmed,
    covers: (pod, address) => keeper.until((snapshot) => holdsPod(snapshot, pod, address)),
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
      await keeper.close();
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
