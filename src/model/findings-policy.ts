import { labelSelectorMatches, type KubeObject } from "#kube";
import { nameOf, namespaceOf } from "./objects.ts";
import type { PodIndex } from "./pod-index.ts";
import type { Finding } from "./types.ts";
import { asNetworkPolicy } from "./views.ts";

/** A NetworkPolicy is not carried out, so it could keep packets from the pods that it selects. */
export function policyFinding(object: KubeObject, pods: PodIndex): Finding {
  const [namespace, name] = [namespaceOf(object), nameOf(object)];
  const selector = asNetworkPolicy(object).spec?.podSelector;
  const selected = pods.inNamespace(namespace).filter((pod) => labelSelectorMatches(selector, pod.labels));
  return {
    code: "NetworkPolicyNotImplemented",
    severity: "warning",
    object: { kind: "NetworkPolicy", namespace, name },
    message: `NetworkPolicy ${namespace}/${name} is not enforced; where it is, it could keep packets from ${selected.length} pods`,
    mend: "remove the policy here if it does not matter for the question",
    affectsRouting: true,
    affects: selected.map((pod) => ({ kind: "Pod", namespace: pod.namespace, name: pod.name })),
  };
}
