/** Nodes without namespaces: places of the in-process network, and addresses for their pods. Nothing is built, so nothing is awaited. */
import { clearPorts } from "#kernel";
import type { LoopbackNetwork, LoopbackPlace } from "#kernel";
import { createAddressPool } from "./addresses.ts";
import type { NodeIdentity } from "./plan.ts";
import type { PolicyPlane } from "./policy/apply.ts";
import type { PodIdentity } from "./sandboxes.ts";

interface LoopbackSandbox {
  readonly ns: LoopbackPlace;
  readonly address: string;
  readonly addresses: readonly string[];
}

export interface LoopbackNodeNetwork {
  readonly node: NodeIdentity;
  readonly ns: LoopbackPlace;
  readonly sandboxes: {
    /** Idempotent per pod uid. */
    create(pod: PodIdentity): Promise<LoopbackSandbox>;
    /** Idempotent. The address rests before it is used again. */
    remove(pod: PodIdentity): Promise<void>;
    find(uid: string): LoopbackSandbox | undefined;
  };
  /** Nothing is between pods that could keep a connection back; `explainLoopback` and `up` say so. */
  readonly policy: Pick<PolicyPlane, "covers" | "denied">;
  /** No tunnel ends here, so there is nothing to announce. */
  readonly annotations: Readonly<Record<string, string>>;
}

/** A node of a cluster without namespaces. */
export function createLoopbackNode(
  node: NodeIdentity,
  network: Pick<LoopbackNetwork, "place">,
): LoopbackNodeNetwork {
  return {
    node,
    ns: network.place(node.name, node.address),
    sandboxes: createSandboxes(node, network),
    policy: { covers: () => Promise.resolve(), denied: () => Promise.resolve([]) },
    annotations: {},
  };
}

function createSandboxes(
  { podCIDR }: NodeIdentity,
  network: Pick<LoopbackNetwork, "place">,
): LoopbackNodeNetwork["sandboxes"] {
  const pool = createAddressPool(podCIDR);
  const sandboxes = new Map<string, LoopbackSandbox>();
  return {
    find: (uid) => sandboxes.get(uid),
    async create({ uid, namespace, name }) {
      const known = sandboxes.get(uid);
      if (known !== undefined) return known;
      const address = pool.take();
      const ns = network.place(`pod ${namespace}/${name}`, address);
      const made = { ns, address, addresses: [address] };
      sandboxes.set(uid, made);
      return made;
    },
    async remove({ uid }) {
      const made = sandboxes.get(uid);
      if (made === undefined) return;
      sandboxes.delete(uid);
      for (const table of Object.values(made.ns.map.ports ?? {})) clearPorts(table, made.address);
      pool.release(made.address);
    },
  };
}
