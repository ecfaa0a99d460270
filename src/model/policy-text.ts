/** Why a connection is kept back by NetworkPolicies, for people, and what would let it pass. */
import { familyOf } from "#lib/ip";
import { nameOfEnd, type DirectionDecision, type PolicyConnection } from "./policy.ts";
import type { Snapshot } from "./types.ts";

/** Labels that controllers give each revision: nobody writes them in a selector. */
const generated = new Set(["pod-template-hash", "controller-revision-hash", "pod-template-generation"]);

/** The reason and the mend of a denial. */
export function denialText(
  snapshot: Snapshot,
  { direction, pod, policies }: DirectionDecision,
  { from, to, protocol, port }: PolicyConnection,
): { readonly reason: string; readonly mend: string } {
  const names = policies.map(({ policy: { namespace, name } }) => `${namespace}/${name}`).join(", ");
  const who = policies.length === 1 ? `NetworkPolicy ${names} isolates` : `NetworkPolicies ${names} isolate`;
  const what = `${nameOfEnd(snapshot, from)} -> ${nameOfEnd(snapshot, to)} port ${port}/${protocol}`;
  const why = policies.map((opinion) => opinion.why).join("; ");
  const [peer, list] = direction === "egress" ? [to, "to"] : [from, "from"];
  const edit = `kubectl -n ${pod.namespace} edit networkpolicy ${policies[0]?.policy.name ?? ""}`;
  return {
    reason: `${who} the ${direction} of pod ${pod.namespace}/${pod.name} and nothing allows ${what}: ${why}`,
    mend: `add to spec.${direction} a rule with ${list}: ${selectionOf(snapshot, peer)} and port ${port}/${protocol} (${edit})`,
  };
}

/** What selects the other end. */
function selectionOf(snapshot: Snapshot, address: string): string {
  const pod = snapshot.podsByAddress.get(address);
  if (pod === undefined) return `ipBlock ${address}/${familyOf(address) === "IPv4" ? 32 : 128}`;
  const labels = Object.entries(pod.labels)
    .filter(([key]) => !generated.has(key))
    .map(([key, value]) => `${key}=${value}`);
  return `pods ${labels.length === 0 ? "without labels" : labels.join(",")} of namespace ${pod.namespace}`;
}
