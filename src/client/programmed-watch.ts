/** Waits until all components have programmed their data planes up to some change: reads their Leases. */
import type { KubeObject } from "#kube";
import { type Log, silentLog } from "#lib/log";
import type { Lease } from "kubernetes-types/coordination/v1.js";
import type { Client } from "./client.ts";
import { type Clock, systemClock } from "./clock.ts";
import { createInformer } from "./informer.ts";
import { leases, programmedAnnotation, programsLabel } from "./programmed-lease.ts";
import { isNewer } from "./resource-version.ts";
import { objectKey } from "./store.ts";

export interface ProgrammedWatch {
  /**
   * Resolves when every component that lives has programmed this resourceVersion of EndpointSlices, at the latest after
   * `withinMs` or at the signal. The result names the Leases that were still behind then.
   */
  reached(version: string, withinMs: number, signal?: AbortSignal): Promise<readonly string[]>;
  close(): void;
}

interface Report {
  readonly version: string;
  /** When its holder counts as dead unless it writes again. */
  readonly expires: number;
}

/**
 * Starts to watch. A holder's clock is not believed: a Lease holds for its duration from when a renewal was seen here,
 * as in client-go's leader election.
 */
export function watchProgrammed(
  client: Client,
  options: { readonly log?: Log; readonly clock?: Clock } = {},
): ProgrammedWatch {
  const { log = silentLog, clock = systemClock } = options;
  const informer = createInformer<Lease & KubeObject>(client, leases, {
    labelSelector: programsLabel,
    log,
    clock,
  });
  const reports = new Map<string, Report>();
  const waiters = new Set<() => void>();
  informer.onChange((type, lease) => {
    if (type === "DELETED") reports.delete(objectKey(lease));
    else reports.set(objectKey(lease), reportOf(lease, clock.now()));
    for (const look of waiters) look();
  });

  const behind = (version: string): [name: string, report: Report][] =>
    [...reports].filter(([, report]) => isNewer(version, report.version) && clock.now() < report.expires);
  const reached = (version: string, withinMs: number, signal?: AbortSignal): Promise<readonly string[]> =>
    new Promise((resolve) => {
      const deadline = clock.now() + withinMs;
      let cancel = (): void => undefined;
      const look = (): void => {
        cancel();
        const missing = behind(version);
        if (missing.length === 0 || clock.now() >= deadline || signal?.aborted === true) {
          waiters.delete(look);
          signal?.removeEventListener("abort", look);
          return resolve(missing.map(([name]) => name));
        }
        const next = Math.min(deadline, ...missing.map(([, { expires }]) => expires));
        cancel = clock.setTimer(next - clock.now(), look);
      };
      waiters.add(look);
      signal?.addEventListener("abort", look);
      look();
    });
  return { reached, close: () => informer.close() };
}

function reportOf({ metadata, spec }: Lease & KubeObject, now: number): Report {
  return {
    version: metadata?.annotations?.[programmedAnnotation] ?? "",
    expires: now + (spec?.leaseDurationSeconds ?? 0) * 1000,
  };
}
