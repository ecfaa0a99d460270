/** Pod namespaces of one node: made, wired to the node, and taken away. */
import { codeOf } from "#lib/errors";
import { ipv4ToNumber, parseCidr } from "#lib/ip";
import { closeNetNs, createNetNs, ipBatch, setSysctls } from "#kernel";
import type { NetNs } from "#kernel";
import { addressesAt, createAddressPool } from "./addresses.ts";
import { createBatch } from "./batch.ts";
import { podMtu } from "./plan.ts";
import type { NodeIdentity } from "./plan.ts";
import { planPod, podLink } from "./pod-link.ts";
import type { NodeNetworkSettings } from "./settings.ts";
import { optionalSysctls, podSysctls } from "./sysctls.ts";

/** A pod's network: its namespace and its addresses. */
export interface Sandbox {
  readonly ns: NetNs;
  /** IPv4. */
  readonly address: string;
  /** One of each family, in the order of the node's pod CIDRs. */
  readonly addresses: readonly string[];
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
  /** Gives all pods, those to come too, links of this MTU. */
  resize(mtu: number): Promise<void>;
  /** The sandbox of the pod with this uid, once it is made. */
  find(uid: string): Sandbox | undefined;
}

export function createSandboxes(node: NodeIdentity, ns: NetNs, settings: NodeNetworkSettings): Sandboxes {
  const pool = createAddressPool(node.podCIDR);
  const nodeBatch = createBatch((lines) => ipBatch(ns, lines));
  const sandboxes = new Map<string, Promise<Sandbox & { remove: readonly string[] }>>();
  const finished = new Map<string, Sandbox & { readonly device: string }>();
  let mtu = podMtu(settings);

  const build = async (pod: PodIdentity): Promise<Sandbox & { remove: readonly string[] }> => {
    const address = pool.take();
    const podNs = newNs(pod, () => pool.release(address));
    const addresses = addressesBeside(node, address);
    const link = podLink(pod, addresses);
    const plan = planPod(link, mtu, podNs.path);
    try {
      setSysctls(podNs, podSysctls(settings));
      setOptionalSysctls(podNs, settings);
      await nodeBatch.run(plan.node, plan.remove);
      await ipBatch(podNs, ["link set lo up", ...plan.pod]);
      finished.set(pod.uid, { ns: podNs, address, addresses, device: link.device });
      return { ns: podNs, address, addresses, remove: plan.remove };
    } catch (error) {
      pool.release(address);
      closeNetNs(podNs);
      throw error;
    }
  };

  return {
    find: (uid) => finished.get(uid),
    async resize(next) {
      mtu = next;
      for (const { ns: podNs, device } of finished.values()) {
        // A pod that has just gone has no link any more.
        await ipBatch(ns, [`link set ${device} mtu ${mtu}`]).catch(() => undefined);
        await ipBatch(podNs, [`link set eth0 mtu ${mtu}`]).catch(() => undefined);
      }
    },
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

function addressesBeside({ podCIDR, podCIDRs }: NodeIdentity, address: string): readonly string[] {
  return addressesAt(podCIDRs, ipv4ToNumber(address) - parseCidr(podCIDR).base);
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
export function setOptionalSysctls(ns: NetNs, settings: NodeNetworkSettings): void {
  for (const [key, value] of Object.entries(optionalSysctls(settings))) {
    try {
      setSysctls(ns, { [key]: value });
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw error;
    }
  }
}
