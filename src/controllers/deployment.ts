/** The deployment controller: Deployments -> ReplicaSets. */
import { codeOf } from "#lib/errors";
import type { Controller, Informer } from "#client";
import { claim } from "./claims.ts";
import { type Context, createWriter, inNamespace, recorderFor, startLoop, type Writer } from "./context.ts";
import { findNewSet, revisionAnnotation } from "./deployment-revisions.ts";
import { type DeploymentPlan, planDeployment } from "./deployment-plan.ts";
import { sizeOf } from "./deployment-sizes.ts";
import {
  annotationsOf,
  controllerOf,
  type Deployment,
  kind,
  nameOf,
  namespaceOf,
  type Pod,
  type ReplicaSet,
  sameJson,
  splitKey,
  subjectOf,
  uidOf,
} from "./objects.ts";

const deploymentKind = kind("apps/v1", "Deployment");

export function startDeployments(context: Context): Controller {
  const deployments = context.informers.of<Deployment>(deploymentKind);
  const sets = context.informers.of<ReplicaSet>(kind("apps/v1", "ReplicaSet"));
  const pods = context.informers.of<Pod>(kind("v1", "Pod"));
  const writer = createWriter(context.client);
  const recorder = recorderFor(context, "deployment-controller");

  const reconcile = async (key: string): Promise<number | void> => {
    const { namespace, name } = splitKey(key);
    const deployment = deployments.get(namespace, name);
    if (deployment === undefined) return;
    const owned = await claim(writer, sets, deploymentKind, deployment, deployment.spec?.selector);
    const plan = planDeployment({
      deployment,
      sets: owned,
      pods: owned.flatMap((set) => pods.indexed("owner", uidOf(set))),
      now: context.clock.now(),
    });
    await carryOut({ writer, deployments, sets, tell }, deployment, owned, plan);
    return plan.again;
  };
  const tell = (deployment: Deployment, set: ReplicaSet, from: number): void => {
    const to = sizeOf(set);
    if (from === to) return;
    const message = `Scaled ${to > from ? "up" : "down"} replica set ${nameOf(set)} from ${from} to ${to}`;
    recorder.event(subjectOf(deploymentKind, deployment), "Normal", "ScalingReplicaSet", message);
  };
  const loop = startLoop(context, {
    name: "deployment",
    informers: [deployments, sets, pods],
    reconcile,
    workers: 4,
  });
  deployments.onChange((_type, object) => loop.enqueue(`${namespaceOf(object)}/${nameOf(object)}`));
  const enqueueOwner = (object: ReplicaSet): void => {
    const owner = controllerOf(object);
    if (owner?.kind === "Deployment") loop.enqueue(`${namespaceOf(object)}/${owner.name}`);
    // An orphan may be somebody's: whose selector matches decides when they look.
    if (owner === undefined) {
      for (const one of inNamespace(deployments, namespaceOf(object))) {
        loop.enqueue(`${namespaceOf(one)}/${nameOf(one)}`);
      }
    }
  };
  sets.onChange((_type, object, old) => {
    enqueueOwner(object);
    if (old !== undefined && controllerOf(old)?.uid !== controllerOf(object)?.uid) enqueueOwner(old);
  });
  // Recreate waits for the last old pod to end, which changes no ReplicaSet.
  pods.onChange((type, pod) => {
    if (type !== "DELETED") return;
    const set = sets
      .indexed("namespace", namespaceOf(pod))
      .find((one) => uidOf(one) === controllerOf(pod)?.uid);
    if (set !== undefined) enqueueOwner(set);
  });
  return loop;
}

interface Tools {
  readonly writer: Writer;
  readonly deployments: Informer<Deployment>;
  readonly sets: Informer<ReplicaSet>;
  /** Tells people that a ReplicaSet was resized. */
  readonly tell: (deployment: Deployment, set: ReplicaSet, from: number) => void;
}

async function carryOut(
  tools: Tools,
  deployment: Deployment,
  held: readonly ReplicaSet[],
  plan: DeploymentPlan,
): Promise<void> {
  const { writer, deployments, sets, tell } = tools;
  if (plan.create !== undefined) await createSet(tools, deployment, plan.create);
  for (const set of plan.update) {
    await writer.update(sets, set);
    tell(deployment, set, sizeOf(held.find((one) => nameOf(one) === nameOf(set)) ?? set));
  }
  for (const set of plan.remove) await writer.delete(sets, set);
  // The revision goes with the status: a change of annotations alone would count as a new generation.
  const annotations = {
    ...annotationsOf(deployment),
    ...(plan.revision === undefined ? {} : { [revisionAnnotation]: String(plan.revision) }),
  };
  const wanted = { ...deployment, metadata: { ...deployment.metadata, annotations }, status: plan.status };
  if (plan.revision !== undefined || !sameJson(deployment.status ?? {}, plan.status)) {
    await writer.updateStatus(deployments, wanted);
  }
}

/** A name that is taken by another template moves the Deployment on to another hash. */
async function createSet(tools: Tools, deployment: Deployment, set: ReplicaSet): Promise<void> {
  const { writer, deployments, sets, tell } = tools;
  try {
    await writer.create(sets, set);
    tell(deployment, set, 0);
  } catch (error) {
    if (codeOf(error) !== "AlreadyExists") throw error;
    const taken = sets.get(namespaceOf(set), nameOf(set));
    const ours = taken !== undefined && controllerOf(taken)?.uid === uidOf(deployment);
    if (ours && findNewSet(deployment, [taken]) !== undefined) return;
    const collisionCount = (deployment.status?.collisionCount ?? 0) + 1;
    await writer.updateStatus(deployments, {
      ...deployment,
      status: { ...deployment.status, collisionCount },
    });
    throw error;
  }
}
