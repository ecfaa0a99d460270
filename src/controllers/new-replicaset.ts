/** The ReplicaSet of a Deployment's present pod template. Pure. */
import type { DeploymentCondition } from "kubernetes-types/apps/v1.js";
import type { KubeObject } from "#kube";
import { hashLabel, newSetAnnotations, nextRevision, sizeAnnotations } from "./deployment-revisions.ts";
import { newSetSize } from "./deployment-sizes.ts";
import { deadlineOf, withCondition } from "./deployment-status.ts";
import {
  controllerReference,
  type Deployment,
  kind,
  nameOf,
  namespaceOf,
  type ReplicaSet,
} from "./objects.ts";
import { rollingLimits } from "./rolling-limits.ts";
import { templateHash } from "./template-hash.ts";

type Conditions = readonly DeploymentCondition[];

/** The new ReplicaSet with up-to-date annotations; made if it does not exist. */
export function ensureNewSet(
  deployment: Deployment,
  found: ReplicaSet | undefined,
  oldSets: readonly ReplicaSet[],
  conditions: Conditions,
  now: number,
): { newSet: ReplicaSet; conditions: Conditions } {
  const annotations = newSetAnnotations(deployment, found, nextRevision(oldSets));
  const minReadySeconds = deployment.spec?.minReadySeconds;
  const tell = (reason: string, message: string): Conditions =>
    deadlineOf(deployment) === undefined
      ? conditions
      : withCondition(conditions, "Progressing", ["True", reason, message], now);
  if (found === undefined) {
    const newSet = makeSet(deployment, annotations, oldSets);
    return {
      newSet,
      conditions: tell("NewReplicaSetCreated", `Created new replica set "${nameOf(newSet)}"`),
    };
  }
  const spec = { ...found.spec, ...(minReadySeconds === undefined ? {} : { minReadySeconds }) };
  const newSet = { ...found, metadata: { ...found.metadata, annotations }, spec } as ReplicaSet;
  const known = conditions.some((condition) => condition.type === "Progressing");
  return {
    newSet,
    conditions: known ? conditions : tell("FoundNewReplicaSet", `Found new replica set "${nameOf(newSet)}"`),
  };
}

function makeSet(
  deployment: Deployment,
  annotations: Record<string, string>,
  oldSets: readonly ReplicaSet[],
): ReplicaSet {
  const { template, selector, minReadySeconds } = deployment.spec ?? {};
  const hash = templateHash(template, deployment.status?.collisionCount);
  const labels = { ...template?.metadata?.labels, [hashLabel]: hash };
  const object: KubeObject = {
    metadata: {
      name: `${nameOf(deployment)}-${hash}`,
      namespace: namespaceOf(deployment),
      labels,
      annotations: {
        ...annotations,
        ...sizeAnnotations(deployment.spec?.replicas ?? 1, rollingLimits(deployment).maxSurge),
      },
      ownerReferences: [controllerReference(kind("apps/v1", "Deployment"), deployment)],
    },
    spec: {
      replicas: newSetSize(deployment, 0, oldSets),
      ...(minReadySeconds === undefined ? {} : { minReadySeconds }),
      selector: { ...selector, matchLabels: { ...selector?.matchLabels, [hashLabel]: hash } },
      template: { ...template, metadata: { ...template?.metadata, labels } },
    },
  };
  return object as ReplicaSet;
}
