/** How evenly the endpoints of each list have met connections, from the kernel's own counters. */
import type { EndpointList, ProxyPlan } from "./plan.ts";
import type { Backend } from "./rotation.ts";

/** Of one list on one node, since its endpoints changed last. */
export interface Fairness {
  /** `default/api-service:http/TCP`, with ` ipv6` and ` local` where the list has them. */
  readonly list: string;
  /** Connections that took a turn; those of clients that are remembered do not count. */
  readonly connections: number;
  /** Most connections of a turn less the fewest: 0 or 1 where the order was kept. */
  readonly spread: number;
}

type Counts = readonly number[];

export interface FairnessMeter {
  /**
   * A plan is in force.
   * @param continued whether the counters of the list with this key went on; otherwise they began at zero.
   */
  follow(plan: ProxyPlan, continued: (list: string) => boolean): void;
  /** What the counters tell; a list of which a part was exchanged counts from the next reading on. */
  read(counts: ReadonlyMap<string, Counts>): readonly Fairness[];
}

export function fairnessMeter(): FairnessMeter {
  let lists: ReadonlyMap<string, EndpointList> = new Map();
  /** The slots that a list had when its counters stood so; undefined where nobody has read them since they changed. */
  const starts = new Map<string, { readonly slots: readonly Backend[]; readonly counts: Counts }>();
  return {
    follow(plan, continued) {
      lists = plan.lists;
      for (const key of starts.keys()) if (!lists.has(key)) starts.delete(key);
      for (const [key, { slots }] of lists) {
        if (!continued(key)) starts.set(key, { slots, counts: slots.map(() => 0) });
      }
    },
    read(counts) {
      return [...lists.values()].flatMap(({ key, slots }) => {
        const now = counts.get(key);
        if (now === undefined) return [];
        const start = starts.get(key);
        const since = now.map((count, slot) => count - (start?.counts[slot] ?? 0));
        // Begun anew by somebody else, or since another reading.
        if (start?.slots !== slots || since.some((count) => count < 0)) {
          starts.set(key, { slots, counts: now });
          return [{ list: key, connections: 0, spread: 0 }];
        }
        return [{ list: key, connections: sumOf(since), spread: Math.max(...since) - Math.min(...since) }];
      });
    },
  };
}

function sumOf(counts: Counts): number {
  return counts.reduce((sum, count) => sum + count, 0);
}
