/** What goes on when one plan follows another, and what begins anew: pure. */
import type { EndpointList, ProxyPlan, Rotations } from "./plan.ts";
import { rotate } from "./rotation.ts";
import type { Rotation } from "./rotation.ts";

/** Whether the rules that give a list its turns must be written anew. */
export function beginsAnew(before: EndpointList, after: EndpointList): boolean {
  const hadAffinity = before.affinitySeconds !== undefined;
  return (
    before.slots.length !== after.slots.length ||
    before.scheduler !== after.scheduler ||
    hadAffinity !== (after.affinitySeconds !== undefined)
  );
}

/** Tells which lists have as many turns as before: their counters went on. */
export function continued(
  { lists }: ProxyPlan,
  before: ReadonlyMap<string, Pick<Rotation, "slots">> = new Map(),
): (key: string) => boolean {
  return (key) => before.get(key)?.slots.length === lists.get(key)?.slots.length;
}

/** The lists of a plan. Where the next slot is known the rule will start at slot 0, so the slots are turned to it. */
export function rotations(plan: ProxyPlan | undefined, next: ReadonlyMap<string, number>): Rotations {
  return {
    get(key) {
      const slots = plan?.lists.get(key)?.slots;
      if (slots === undefined) return undefined;
      const at = next.get(key);
      return { slots: at === undefined ? slots : rotate(slots, at % slots.length), next: 0 };
    },
  };
}
