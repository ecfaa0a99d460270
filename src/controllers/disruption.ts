/** The disruption controller: PodDisruptionBudgets and their pods -> how many may be evicted. */
import { labelSelectorMatches } from "#kube";
import { type Controller, objectKey } from "#client";
import { type Context, createWriter, inNamespace, startLoop } from "./context.ts";
import { type Budget, planBudget, type Scale } from "./disruption-plan.ts";
import {
  controllerOf,
  type Deployment,
  isDeleting,
  isReady,
  kind,
  labelsOf,
  namespaceOf,
  type Pod,
  type ReplicaSet,
  sameJson,
  splitKey,
  type StatefulSet,
  uidOf,
} from "./objects.ts";

export function startDisruption(context: Context): Controller {
  const budgets = context.informers.of<Budget>(kind("policy/v1", "PodDisruptionBudget"));
  const pods = context.informers.of<Pod>(kind("v1", "Pod"));
  const deployments = context.informers.of<Deployment>(kind("apps/v1", "Deployment"));
  const replicaSets = context.informers.of<ReplicaSet>(kind("apps/v1", "ReplicaSet"));
  const statefulSets = context.informers.of<StatefulSet>(kind("apps/v1", "StatefulSet"));
  const writer = createWriter(context.client);

  /** What the pod's controller wants; for a ReplicaSet of a Deployment, what the Deployment wants. */
  const scaleOf = (pod: Pod): Scale | string | undefined => {
    const owner = controllerOf(pod);
    if (owner === undefined) return undefined;
    const namespace = namespaceOf(pod);
    const set = owner.kind === "ReplicaSet" ? replicaSets.get(namespace, owner.name) : undefined;
    const above = set === undefined ? undefined : controllerOf(set);
    const workload =
      above?.kind === "Deployment"
        ? deployments.get(namespace, above.name)
        : (set ?? (owner.kind === "StatefulSet" ? statefulSets.get(namespace, owner.name) : undefined));
    if (workload !== undefined) return { uid: uidOf(workload), replicas: workload.spec?.replicas ?? 1 };
    return `the number of pods that ${owner.kind} ${owner.name} wants is not known; use a number as minAvailable`;
  };
  const selected = (budget: Budget): readonly Pod[] =>
    inNamespace(pods, namespaceOf(budget)).filter((pod) =>
      labelSelectorMatches(budget.spec?.selector, labelsOf(pod)),
    );
  const reconcile = async (key: string): Promise<number | void> => {
    const { namespace, name } = splitKey(key);
    const budget = budgets.get(namespace, name);
    if (budget === undefined || isDeleting(budget)) return;
    const { status, again } = planBudget(budget, selected(budget), scaleOf, context.clock.now());
    if (!sameJson(budget.status ?? {}, status)) await writer.updateStatus(budgets, { ...budget, status });
    return again;
  };

  const informers = [budgets, pods, deployments, replicaSets, statefulSets];
  const loop = startLoop(context, { name: "disruption", informers, reconcile });
  const enqueueNamespace = (namespace: string): void => {
    for (const budget of inNamespace(budgets, namespace)) loop.enqueue(objectKey(budget));
  };
  budgets.onChange((_type, budget) => loop.enqueue(objectKey(budget)));
  pods.onChange((type, pod, old) => {
    const facts = (one: Pod | undefined) =>
      one && [isReady(one), isDeleting(one), labelsOf(one), controllerOf(one)?.uid];
    if (type === "MODIFIED" && sameJson(facts(pod), facts(old))) return;
    enqueueNamespace(namespaceOf(pod));
  });
  for (const informer of [deployments, replicaSets, statefulSets]) {
    informer.onChange((_type, workload, old) => {
      const { spec } = workload as Deployment;
      if (spec?.replicas !== (old as Deployment | undefined)?.spec?.replicas)
        enqueueNamespace(namespaceOf(workload));
    });
  }
  return loop;
}
