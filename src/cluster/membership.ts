/** Nodes that join and leave while the cluster runs. */
import type { Client } from "#client";
import { kindByPlural, type Resource } from "#kube";
import { validate } from "#kube/server";
import { InroadError } from "#lib/errors";
import type { NodeIdentity } from "#path/node";
import type { NodeAgent } from "#path/pod";
import type { Proxy } from "#path/proxy";
import type { ClusterNetwork } from "./network.ts";
import { longestCluster, nodeAt, type ClusterConfig } from "./config.ts";

export interface Membership {
  /**
   * Adds a node, named after its place if no name is given; fulfilled when pods can run on it.
   * Rejects with `NodeExists`, `InvalidName` or `TooManyNodes` (exit status 2).
   */
  add(name: string | undefined): Promise<NodeIdentity>;
  /**
   * Takes a node away at once with all that runs on it. Its pods are deleted, so that their controllers make others.
   * Rejects with `NoSuchNode` or `LastNode` (exit status 2).
   */
  remove(name: string): Promise<void>;
}

export interface MembershipOptions {
  readonly config: ClusterConfig;
  readonly client: Client;
  readonly network: Pick<ClusterNetwork, "add" | "nodes" | "remove" | "settled">;
  /** What runs on each node; both are kept up to date. */
  readonly proxies: Map<string, Proxy>;
  readonly agents: Map<string, NodeAgent>;
  /** Starts the Service rules and the agent of a node, and puts them into the maps; fulfilled when both are ready. */
  readonly start: (node: string) => Promise<void>;
}

export function createMembership({
  config,
  client,
  network,
  proxies,
  agents,
  start,
}: MembershipOptions): Membership {
  let work: Promise<unknown> = Promise.resolve();
  /** One change after the other: two nodes must not get one place. */
  const inTurn = <T>(change: () => Promise<T>): Promise<T> => {
    const done = work.then(change);
    work = done.catch(() => undefined);
    return done;
  };

  const add = async (name: string | undefined): Promise<NodeIdentity> => {
    const node = freePlace(network, config, name);
    if (network.nodes.has(node.name))
      throw new InroadError("NodeExists", `there is a node ${node.name} already`);
    checkName(node.name);
    try {
      await network.add(node);
      await start(node.name);
      await network.settled();
    } catch (error) {
      await client.delete(nodes, node.name).catch(() => undefined);
      await takeAway(node.name);
      throw error;
    }
    return node;
  };

  const takeAway = async (name: string): Promise<void> => {
    await agents.get(name)?.close();
    agents.delete(name);
    await client.delete(leases, name, "kube-node-lease");
    await proxies.get(name)?.close();
    proxies.delete(name);
    await network.remove(name);
  };

  const remove = async (name: string): Promise<void> => {
    if (!network.nodes.has(name)) {
      const known = [...network.nodes.keys()].join(", ");
      throw new InroadError("NoSuchNode", `there is no node ${name}`, { mend: `nodes are: ${known}` });
    }
    if (network.nodes.size === 1) {
      throw new InroadError("LastNode", `${name} is the last node`, {
        mend: "take the cluster down instead",
      });
    }
    // First nobody sends it anything new, then its pods end, then it has no network any more.
    await client.delete(nodes, name);
    await deletePods(client, name);
    await takeAway(name);
    await network.settled();
  };

  return { add: (name) => inTurn(() => add(name)), remove: (name) => inTurn(() => remove(name)) };
}

/** The lowest place whose addresses no node has. */
function freePlace(
  { nodes }: Pick<ClusterNetwork, "nodes">,
  { ipFamilies }: ClusterConfig,
  name: string | undefined,
): NodeIdentity {
  const taken = new Set([...nodes.values()].map(({ node }) => node.address));
  for (let index = 0; index < longestCluster; index += 1) {
    const place = nodeAt(index, ipFamilies);
    if (!taken.has(place.address)) return { ...place, name: name ?? place.name };
  }
  throw new InroadError("TooManyNodes", `a cluster has at most ${longestCluster} nodes`);
}

function checkName(name: string): void {
  const [problem] = validate(kindNamed("", "nodes"), { apiVersion: "v1", kind: "Node", metadata: { name } });
  if (problem !== undefined)
    throw new InroadError("InvalidName", `"${name}" is no name for a node: ${problem.message}`);
}

/** A removed node does not let pods end in their own time: it is gone. */
async function deletePods(client: Client, node: string): Promise<void> {
  const { items } = await client.list(pods, { fieldSelector: `spec.nodeName=${node}` });
  await Promise.all(
    items.map(({ metadata = {} }) =>
      client.delete(pods, metadata.name ?? "", metadata.namespace, { gracePeriodSeconds: 0 }),
    ),
  );
}

function kindNamed(group: string, plural: string) {
  const kind = kindByPlural(group, "v1", plural);
  if (kind === undefined) throw new Error(`the API has no ${plural}`);
  return kind;
}

const nodes: Resource = kindNamed("", "nodes");
const pods: Resource = kindNamed("", "pods");
const leases: Resource = kindNamed("coordination.k8s.io", "leases");
