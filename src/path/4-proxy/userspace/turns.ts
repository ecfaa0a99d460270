/**
 * Whose turn it is in one list of endpoints. Schedulers bear the names that IPVS gives them: `rr` round robin, `wrr` by
 * weight, `lc` fewest open connections, `sh` by the client's address. Pure but for its own counters.
 */
import { createHash } from "node:crypto";
import type { Scheduler } from "#model";
import type { EndpointList } from "../plan.ts";
import { backendKey, rotate } from "../rotation.ts";
import type { Backend } from "../rotation.ts";

/** Clients whose endpoint is remembered; the one that came longest ago is forgotten first. */
const MOST_CLIENTS = 65_536;

export interface Turns {
  /**
   * The endpoints in the order in which a new connection is to try them, the chosen one first. A client with affinity takes nobody's turn.
   * @param client its address
   * @param now milliseconds, of any clock
   */
  take(client: string, now: number): readonly Backend[];
  /** A connection of this client to an endpoint was made; to be called back when it ends. */
  opened(client: string, backend: Backend, now: number): () => void;
  /** The slot that the next connection gets; undefined where it depends on more than a counter. */
  next(): number | undefined;
  list(): EndpointList;
  /** Other endpoints; `restart` begins again at slot 0. */
  change(list: EndpointList, restart: boolean): void;
}

interface State {
  list: EndpointList;
  at: number;
  /** By endpoint. */
  readonly open: Map<string, number>;
  /** wrr: what each endpoint has saved up. */
  credit: Map<string, number>;
}

/** Chooses a slot, and counts. */
const choosers: Readonly<Record<Scheduler, (state: State, client: string) => number>> = {
  rr: (state) => {
    const slot = state.at % state.list.slots.length;
    state.at = (slot + 1) % state.list.slots.length;
    return slot;
  },
  wrr: byWeight,
  lc: byFewest,
  sh: ({ list: { slots } }, client) =>
    slots.reduce((best, backend, slot) => {
      const former = slots[best];
      return former !== undefined && affinityOf(client, former) >= affinityOf(client, backend) ? best : slot;
    }, 0),
};

export function createTurns(first: EndpointList): Turns {
  const state: State = { list: first, at: 0, open: new Map(), credit: new Map() };
  const clients = new Map<string, { readonly backend: string; readonly until: number }>();

  const known = (client: string, now: number): number => {
    const seen = clients.get(client);
    if (seen === undefined || seen.until <= now) return -1;
    return state.list.slots.findIndex((slot) => backendKey(slot) === seen.backend);
  };
  const remember = (client: string, backend: Backend, now: number): void => {
    const { affinitySeconds } = state.list;
    if (affinitySeconds === undefined) return;
    clients.delete(client);
    clients.set(client, { backend: backendKey(backend), until: now + affinitySeconds * 1000 });
    const [oldest] = clients.keys();
    if (clients.size > MOST_CLIENTS && oldest !== undefined) clients.delete(oldest);
  };

  return {
    take(client, now) {
      const before = known(client, now);
      const slot = before >= 0 ? before : choosers[state.list.scheduler](state, client);
      return rotate(state.list.slots, slot);
    },
    opened(client, backend, now) {
      remember(client, backend, now);
      const key = backendKey(backend);
      state.open.set(key, (state.open.get(key) ?? 0) + 1);
      return () => {
        const left = (state.open.get(key) ?? 1) - 1;
        if (left > 0) state.open.set(key, left);
        else state.open.delete(key);
      };
    },
    next: () => (state.list.scheduler === "rr" ? state.at % state.list.slots.length : undefined),
    list: () => state.list,
    change(list, restart) {
      state.list = list;
      if (restart) state.at = 0;
    },
  };
}

/** Smooth weighted round robin: whoever has saved most pays for all; in every window of the weights' sum each has its share. */
function byWeight(state: State): number {
  const { slots, weights } = state.list;
  const credit = new Map<string, number>();
  let best = 0;
  let most = Number.NEGATIVE_INFINITY;
  let total = 0;
  for (const [slot, backend] of slots.entries()) {
    const key = backendKey(backend);
    const weight = weights?.get(key) ?? 1;
    const saved = (state.credit.get(key) ?? 0) + weight;
    total += weight;
    credit.set(key, saved);
    if (saved > most) [best, most] = [slot, saved];
  }
  const chosen = slots[best];
  if (chosen !== undefined) credit.set(backendKey(chosen), most - total);
  state.credit = credit;
  return best;
}

/** Fewest open connections; those that have equally few take turns. */
function byFewest(state: State): number {
  const { slots } = state.list;
  const openAt = (slot: number): number => {
    const backend = slots[slot];
    return backend === undefined ? 0 : (state.open.get(backendKey(backend)) ?? 0);
  };
  let best = state.at % slots.length;
  for (let step = 1; step < slots.length; step += 1) {
    const slot = (state.at + step) % slots.length;
    if (openAt(slot) < openAt(best)) best = slot;
  }
  state.at = (best + 1) % slots.length;
  return best;
}

/** Highest random weight: when endpoints come and go, only the clients of those that went, and a share for new ones, move. */
function affinityOf(client: string, backend: Backend): number {
  return createHash("sha256")
    .update(`${client} ${backendKey(backend)}`)
    .digest()
    .readUInt32BE(0);
}
