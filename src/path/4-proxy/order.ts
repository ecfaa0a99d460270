/** Which of a list's endpoints a connection meets, as far as it can be known before: pure. */
import type { Scheduler } from "#model";
import { sourceHash } from "./nftables/source-hash.ts";
import type { EndpointList } from "./plan.ts";
import { backendKey, rotate } from "./rotation.ts";
import type { Backend, Rotation } from "./rotation.ts";
import { slotSchedulers } from "./spread.ts";

/** What was read from the node's kernel. */
export interface KnownOrder {
  /** The lists in force on this node (`Proxy.rotation`): tells whose turn is next. */
  readonly rotation?: ReadonlyMap<string, Rotation>;
  /**
   * By `rememberedKey`: the endpoint that a client is remembered for (`Proxy.remembered`), undefined where it was asked and
   * the client is not remembered.
   */
  readonly remembered?: ReadonlyMap<string, Backend | undefined>;
}

export interface Order {
  /** How an endpoint is chosen. */
  readonly algorithm: string;
  /** Those that may be met, each once, the most likely first. */
  readonly backends: readonly Backend[];
  /** Whether the first one's turn is next, if nobody else connects before. */
  readonly knowsNext: boolean;
}

export function rememberedKey(list: string, client: string): string {
  return `${list} ${client}`;
}

const names: Readonly<Record<Scheduler, string>> = {
  rr: "round robin",
  wrr: "weighted round robin",
  lc: "least connections",
  sh: "source hash",
};

/** @param source the client's address, as the rules see it. */
export function orderOf(list: EndpointList, mode: string, source: string, known: KnownOrder): Order {
  const { scheduler, affinitySeconds } = list;
  const bySlots = slotSchedulers[mode]?.includes(scheduler) ?? false;
  // IPVS itself has all of them, and so has this process.
  const kept = scheduler === "rr" || bySlots || mode === "ipvs" || mode === "userspace";
  const turns = kept ? names[scheduler] : `${names.rr} (${mode} cannot do ${names[scheduler]})`;
  if (affinitySeconds !== undefined) {
    const met = known.remembered?.get(rememberedKey(list.key, source));
    const there = met && list.slots.find((slot) => backendKey(slot) === backendKey(met));
    if (there !== undefined)
      return { algorithm: "session affinity ClientIP", backends: [there], knowsNext: true };
  }
  const unsure =
    affinitySeconds !== undefined && known.remembered?.has(rememberedKey(list.key, source)) !== true;
  const algorithm = affinitySeconds === undefined ? turns : `session affinity ClientIP, then ${turns}`;
  const hashed =
    bySlots && scheduler === "sh" ? list.slots[sourceHash(source, list.slots.length)] : undefined;
  if (hashed !== undefined && !unsure) return { algorithm, backends: [hashed], knowsNext: true };
  const backends = distinct(inTurn(list, known));
  const hasTurns = !kept || scheduler === "rr" || scheduler === "wrr";
  return { algorithm, backends, knowsNext: known.rotation?.has(list.key) === true && !unsure && hasTurns };
}

function inTurn(list: EndpointList, { rotation: known }: KnownOrder): readonly Backend[] {
  const rotation = known?.get(list.key);
  // Of another length, the plan has already turned the slots so that the next one is first.
  return rotate(list.slots, rotation?.slots.length === list.slots.length ? rotation.next : 0);
}

function distinct(slots: readonly Backend[]): readonly Backend[] {
  return [...new Map(slots.map((slot) => [backendKey(slot), slot])).values()];
}
