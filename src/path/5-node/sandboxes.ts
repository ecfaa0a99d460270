/** Pod namespaces of one node: made, wired to the node, and taken away. */
import { codeOf } from "#lib/errors";
import { closeNetNs, createNetNs, ipBatch, setSysctls } from "#kernel";
import type { NetNs } from "#kernel";
import { createAddressPool } from "./addresses.ts";
import { createBatch } from "./batch.ts";
import { optionalSysctls, planPod, podLink, podMtu, podSysctls } from "./plan.ts";
import type { NodeIdentity } from "./plan.ts";
import type { NodeNetworkSettings } from "./settings.ts";

/** A pod's network: its namespace and its address. */
export interface Sandbox {
  readonly ns: NetNs;
  readonly address: string;
}

export interface PodIdentity {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

export interface Sandboxes {
  /** Idempotent per pod uid. */
  create(pod: PodIdentity): Promise<Sandbox>;
  /** Idempotent. The address rests before it is used again. */
  remove(pod: PodIdentity): Promise<void>;
  /** The sandbox of the pod with this uid, once it is made. */
  find(uid: string): Sandbox | undefined;
}

export function createSandboxes(node: NodeIdentity, ns: NetNs, settings: NodeNetworkSettings): Sandboxes {
  const pool = createAddressPool(node.podCIDR);
  const nodeBatch = createBatch((lines) => ipBatch(ns, lines));
  const sandboxes = new Map<string, Promise<Sandbox & { remove: readonly string[] }>>();
  const finished = new Map<string, Sandbox>();

  const build = async (pod: PodIdentity): Promise<Sandbox & { remove: readonly string[] }> => {
    const address = pool.take();
    const podNs = newNs(pod, () => pool.release(address));
    const plan = planPod(podLink(pod, address), podMtu(settings), podNs.path);
    try {
      setSysctls(podNs, podSysctls);
      setOptionalSysctls(podNs);
      await nodeBatch.run(plan.node, plan.remove);
      await ipBatch(podNs, plan.pod);
      finished.set(pod.uid, { ns: podNs, address });
      return { ns: podNs, address, remove: plan.remove };
    } catch (error) {
      pool.release(address);
      closeNetNs(podNs);
      throw error;
    }
  };

  return {
    find: (uid) => finished.get(uid),
    create(pod) {
      const made = sandboxes.get(pod.uid) ?? build(pod);
      sandboxes.set(pod.uid, made);
      // A failed attempt must not be remembered: the next one tries anew.
      made.catch(() => sandboxes.delete(pod.uid));
      return made;
    },
    async remove(pod) {
      const made = sandboxes.get(pod.uid);
      if (made === undefined) return;
      sandboxes.delete(pod.uid);
      finished.delete(pod.uid);
      const { ns: podNs, address, remove } = await made;
      try {
        await nodeBatch.run(remove, []);
      } finally {
        // A link that could not be deleted goes with the namespace that its other end is in.
        pool.release(address);
        closeNetNs(podNs);
      }
    },
  };
}

function newNs({ namespace, name }: PodIdentity, onFailure: () => void): NetNs {
  try {
    return createNetNs(`pod ${namespace}/${name}`);
  } catch (error) {
    onFailure();
    throw error;
  }
}

/** Sets what the kernel has of `optionalSysctls`. */
export function setOptionalSysctls(ns: NetNs): void {
  for (const [key, value] of Object.entries(optionalSysctls)) {
    try {
      setSysctls(ns, { [key]: value });
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw error;
    }
  }
}
