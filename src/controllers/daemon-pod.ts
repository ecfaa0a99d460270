/** The pods of a DaemonSet, one for each node that it fits. Pure; the rules of Kubernetes' DaemonSet controller. */
import type { Affinity, PodSpec, Toleration } from "kubernetes-types/core/v1.js";
import type { KubeObject } from "#kube";
import { revisionLabel } from "./controller-revisions.ts";
import {
  annotationsOf,
  controllerReference,
  type DaemonSet,
  kind,
  nameOf,
  namespaceOf,
  type Node,
  type Pod,
} from "./objects.ts";
import { selects, tolerated } from "./placement.ts";

const setKind = kind("apps/v1", "DaemonSet");

/** Daemons stay where other pods leave. */
const ownTolerations: readonly Toleration[] = [
  ...["not-ready", "unreachable"].map((name) => ({
    key: `node.kubernetes.io/${name}`,
    operator: "Exists",
    effect: "NoExecute",
  })),
  ...["disk-pressure", "memory-pressure", "pid-pressure", "unschedulable"].map((name) => ({
    key: `node.kubernetes.io/${name}`,
    operator: "Exists",
    effect: "NoSchedule",
  })),
];
const hostNetworkToleration: Toleration = {
  key: "node.kubernetes.io/network-unavailable",
  operator: "Exists",
  effect: "NoSchedule",
};

/** A pod for one node. It is bound to it by affinity, so that the scheduler still looks at ports and taints. */
export function daemonPod(set: DaemonSet, node: string, hash: string): KubeObject {
  const { metadata = {} } = set.spec?.template ?? {};
  const generation = annotationsOf(set)["deprecated.daemonset.template.generation"];
  return {
    metadata: {
      generateName: `${nameOf(set)}-`,
      namespace: namespaceOf(set),
      labels: {
        ...metadata.labels,
        [revisionLabel]: hash,
        ...(generation === undefined ? {} : { "pod-template-generation": generation }),
      },
      ...(metadata.annotations === undefined ? {} : { annotations: metadata.annotations }),
      ownerReferences: [controllerReference(setKind, set)],
    },
    spec: podSpec(set, node),
  };
}

function podSpec(set: DaemonSet, node: string): Partial<PodSpec> {
  const spec: Partial<PodSpec> = set.spec?.template?.spec ?? {};
  const added = spec.hostNetwork === true ? [...ownTolerations, hostNetworkToleration] : ownTolerations;
  const affinity: Affinity = {
    ...spec.affinity,
    nodeAffinity: {
      ...spec.affinity?.nodeAffinity,
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: [{ matchFields: [{ key: "metadata.name", operator: "In", values: [node] }] }],
      },
    },
  };
  return { ...spec, affinity, tolerations: [...(spec.tolerations ?? []), ...added] };
}

/** The node that a pod runs on or waits for. */
export function nodeOfDaemon({ spec }: Pod): string | undefined {
  if (spec?.nodeName) return spec.nodeName;
  const required = spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  return required?.nodeSelectorTerms?.[0]?.matchFields?.[0]?.values?.[0];
}

/** Whether a node is to get a pod, and whether one that is there may stay. */
export function fits(set: DaemonSet, node: Node): { readonly runs: boolean; readonly stays: boolean } {
  const spec: Partial<PodSpec> = set.spec?.template?.spec ?? {};
  const tolerations = [...(spec.tolerations ?? []), ...ownTolerations];
  const pod = { spec: { ...spec, tolerations } } as Pod;
  const blocking = (node.spec?.taints ?? []).filter(
    (taint) => taint.effect !== "PreferNoSchedule" && !tolerated(pod, taint),
  );
  const chosen = selects(pod, node);
  return {
    runs: chosen && blocking.length === 0,
    stays: chosen && blocking.every(({ effect }) => effect !== "NoExecute"),
  };
}
