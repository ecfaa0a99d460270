/**
 * Whose turn it is in one list of endpoints. Weights and the source hash are in the slots of the list already (`spread.ts`);
 * fewest connections are counted here. Pure but for its own counters.
 */
import type { Scheduler } from "#model";
import { sourceHash } from "../nftables/source-hash.ts";
import type { EndpointList } from "../plan.ts";
import { backendKey } from "../rotation.ts";
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
  /** The endpoint that a client with affinity comes back to. */
  remembered(client: string, now: number): Backend | undefined;
  /** The slot that the next connection gets; undefined where it depends on more than a counter. */
  next(): number | undefined;
  list(): EndpointList;
  /** Other endpoints; `restart` begins again at slot 0. */
  change(list: EndpointList, restart: boolean): void;
}

interface State {
  list: EndpointList;
  /** How many different endpoints have slots. */
  endpoints: number;
  at: number;
  /** Connections by endpoint. */
  readonly open: Map<string, number>;
}

/** Chooses a slot, and counts. */
const choosers: Readonly<Record<Scheduler, (state: State, client: string) => number>> = {
  rr: bySlot,
  wrr: bySlot,
  lc: byFewest,
  sh: ({ list: { slots } }, client) => sourceHash(client, slots.length),
};

/** `default/api:http/TCP: rr of 10.244.0.2:8080, 10.244.1.2:8080`, each endpoint once. */
export function lineOf({ key, scheduler, slots, weights }: EndpointList): string {
  const named = [...new Set(slots.map(backendKey))].map((backend) => {
    const weight = weights?.get(backend);
    return weight === undefined ? backend : `${backend} (weight ${weight})`;
  });
  return `${key}: ${scheduler} of ${named.join(", ")}`;
}

export function createTurns(first: EndpointList): Turns {
  const state: State = { list: first, endpoints: countEndpoints(first), at: 0, open: new Map() };
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
      return triedFrom(state, slot);
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
    remembered: (client, now) => state.list.slots[known(client, now)],
    next() {
      const { scheduler, slots } = state.list;
      return scheduler === "rr" || scheduler === "wrr" ? state.at % slots.length : undefined;
    },
    list: () => state.list,
    change(list, restart) {
      state.list = list;
      state.endpoints = countEndpoints(list);
      if (restart) state.at = 0;
    },
  };
}

function bySlot(state: State): number {
  const slot = state.at % state.list.slots.length;
  state.at = (slot + 1) % state.list.slots.length;
  return slot;
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

/** Each endpoint once, in the order of the slots from this one on. */
function triedFrom({ list: { slots }, endpoints }: State, start: number): readonly Backend[] {
  const tried = new Map<string, Backend>();
  for (let step = 0; step < slots.length && tried.size < endpoints; step += 1) {
    const backend = slots[(start + step) % slots.length];
    if (backend !== undefined && !tried.has(backendKey(backend))) tried.set(backendKey(backend), backend);
  }
  return [...tried.values()];
}

function countEndpoints({ slots }: EndpointList): number {
  return new Set(slots.map(backendKey)).size;
}
