/** Keeps what one node knows of the others equal to what the snapshots say. */
import { bridgeBatch, ipBatch, type NetNs } from "#kernel";
import { messageOf } from "#lib/errors";
import type { Log } from "#lib/log";
import type { Overlay } from "#model";
import { overlays, type RemoteNode } from "./overlay.ts";

export interface Remotes {
  set(wanted: readonly RemoteNode[]): void;
  /** Resolves when what was wanted last is in the kernel, or will be tried again. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

const RETRY_MS = 200;

/** Entries for remote nodes in one node's namespace; a failed program is tried again. */
export function createRemotes(ns: NetNs, overlay: Overlay, log: Log): Remotes {
  let wanted: readonly RemoteNode[] = [];
  let have: readonly RemoteNode[] = [];
  let work = Promise.resolve();
  let queued = false;
  let closed = false;

  const sync = async (): Promise<void> => {
    queued = false;
    const target = wanted;
    const gone = have.filter((remote) => !target.some((other) => same(remote, other)));
    const fresh = target.filter((remote) => !have.some((other) => same(remote, other)));
    if (gone.length === 0 && fresh.length === 0) return;
    try {
      for (const remote of gone) await removeRemote(ns, overlay, remote);
      have = have.filter((remote) => !gone.includes(remote));
      await addRemotes(ns, overlay, fresh);
      have = [...have, ...fresh];
    } catch (error) {
      if (closed) return;
      log.warn(`routes of ${ns.name} not updated, trying again`, { reason: messageOf(error) });
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      enqueue();
    }
  };
  const enqueue = (): void => {
    if (queued || closed) return;
    queued = true;
    work = work.then(sync);
  };

  return {
    set(next) {
      wanted = next;
      enqueue();
    },
    settled: () => work,
    close() {
      closed = true;
      return work;
    },
  };
}

async function addRemotes(ns: NetNs, overlay: Overlay, fresh: readonly RemoteNode[]): Promise<void> {
  const lines = fresh.map((remote) => overlays[overlay].remote(remote));
  await Promise.all([
    ipBatch(
      ns,
      lines.flatMap(({ ip }) => ip),
    ),
    bridgeBatch(
      ns,
      lines.flatMap(({ bridge }) => bridge),
    ),
  ]);
}

/** What is already gone (its device, say) does not matter. */
async function removeRemote(ns: NetNs, overlay: Overlay, remote: RemoteNode): Promise<void> {
  const { removeIp, removeBridge } = overlays[overlay].remote(remote);
  for (const line of removeIp) await ipBatch(ns, [line]).catch(() => undefined);
  for (const line of removeBridge) await bridgeBatch(ns, [line]).catch(() => undefined);
}

function same(a: RemoteNode, b: RemoteNode): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
