/** What NetworkPolicies do to a new connection on a node, and which one decides. Pure. */
import { familyOf } from "#lib/ip";
import { decideDirection, denialText, nameOfEnd } from "#model";
import type {
  DirectionDecision,
  Outcome,
  PolicyConnection,
  PolicyDirection,
  PolicyModel,
  Snapshot,
  Step,
} from "#model";
import { chainOf, isolationOf, ruleTexts } from "./rules.ts";

export interface PolicyExplanation {
  readonly step: Step;
  /** Where the connection ends, if it is kept back. */
  readonly dropped?: Outcome;
}

/** Undefined where no policy isolates the pod at that end, or no pod is there. */
export function explainPolicy(
  snapshot: Snapshot,
  node: string,
  direction: PolicyDirection,
  connection: PolicyConnection,
): PolicyExplanation | undefined {
  const decision = decideDirection(snapshot, direction, connection);
  if (decision === undefined || decision.policies.length === 0) return undefined;
  const step: Step = {
    hop: "5-node",
    component: `node ${node}`,
    action: decision.allowed ? "admit" : "drop",
    from: nameOfEnd(snapshot, connection.from),
    to: `${nameOfEnd(snapshot, connection.to)} port ${connection.port}/${connection.protocol}`,
    evaluated: evaluatedOf(decision),
    rewrites: [],
    predicted: predictedOf(decision, connection),
  };
  if (decision.allowed) return { step };
  return { step, dropped: { kind: "dropped", ...denialText(snapshot, decision, connection) } };
}

function evaluatedOf({ why, direction, pod, policies }: DirectionDecision): Step["evaluated"] {
  const exempt = {
    Itself: { what: "the pod itself", why: "policies do not bind what a pod sends to itself" },
    OwnNode: { what: `node ${pod.node ?? "?"}`, why: "policies do not bind a pod and its own node" },
  };
  if (why === "Itself" || why === "OwnNode") return [{ ...exempt[why], matched: true }];
  return policies.map(({ policy, rule, why: reason }) => ({
    what: `NetworkPolicy ${nameOf(policy)} (${direction})`,
    matched: rule !== undefined,
    why: reason,
  }));
}

function predictedOf(
  { why, direction, pod, policies }: DirectionDecision,
  { to }: PolicyConnection,
): string[] {
  if (why === "NoRule") return [`${isolationOf(pod.namespace, direction)}: drop`];
  return policies.flatMap(({ policy, rule }) =>
    why !== "Rule" || rule === undefined
      ? []
      : ruleTexts(policy, direction, rule, familyOf(to)).map(
          (text) => `${chainOf(policy, direction)}: ${text}`,
        ),
  );
}

function nameOf({ namespace, name }: PolicyModel): string {
  return `${namespace}/${name}`;
}
