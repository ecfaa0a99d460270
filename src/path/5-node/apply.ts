/** Makes the planned network: node namespaces, the underlay that joins them, overlay, rules, pods. */
import type { Log } from "#lib/log";
import { InroadError } from "#lib/errors";
import { closeNetNs, createNetNs, homeNetNs, ipBatch, nft, setSysctls } from "#kernel";
import type { NetNs } from "#kernel";
import type { Snapshot, SnapshotSource } from "#model";
import { createMtuWatch, type MtuWatch, type NodeMtu } from "./mtu-watch.ts";
import { overlays, planRemotes } from "./overlay.ts";
import { planAttachment, planBridge, planDetachment, planNode } from "./plan.ts";
import type { NodeIdentity } from "./plan.ts";
import { startPolicyPlane, type PolicyPlane } from "./policy/apply.ts";
import { createRemotes, type Remotes } from "./remotes.ts";
import { planRules } from "./rules.ts";
import { createSandboxes, setOptionalSysctls } from "./sandboxes.ts";
import type { Sandboxes } from "./sandboxes.ts";
import { defaultSettings } from "./settings.ts";
import type { NodeNetworkSettings } from "./settings.ts";
import { routerSysctls } from "./sysctls.ts";

/** One node's network, for the components that live on it. */
export interface NodeNetwork {
  readonly node: NodeIdentity;
  readonly ns: NetNs;
  readonly sandboxes: Sandboxes;
  /** The NetworkPolicies of its pods. */
  readonly policy: PolicyPlane;
  /** How large packets may be, as measured last. */
  readonly mtu: () => NodeMtu;
  /** To be put on the Node object, so that the other nodes find this one's pods. */
  readonly annotations: Readonly<Record<string, string>>;
}

export interface NodesHandle {
  /** By node name; usable at once (namespaces exist), wired when `ready`. */
  readonly nodes: ReadonlyMap<string, NodeNetwork>;
  readonly ready: Promise<void>;
  /** Makes the network of one more node; fulfilled when it is wired. Rejects with `NodeExists`, and as `ready` does. */
  add(node: NodeIdentity): Promise<NodeNetwork>;
  /** Takes a node's namespace and its place on the underlay away; its pods' sandboxes must be gone. Idempotent. */
  remove(name: string): Promise<void>;
  /** Measures what the paths between the nodes carry, now instead of within ten seconds; devices follow. */
  measurePaths(): Promise<void>;
  /** Resolves when what the newest snapshot says of remote nodes and of policies is in the kernel. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

export interface NodesOptions {
  readonly nodes: readonly NodeIdentity[];
  readonly source: SnapshotSource;
  readonly log: Log;
  readonly settings?: NodeNetworkSettings;
}

interface Member {
  readonly network: NodeNetwork;
  readonly remotes: Remotes;
  readonly mtu: MtuWatch;
}

/**
 * Builds the underlay in this thread's home namespace and one namespace per node, then follows the snapshots: what a
 * node knows of another one comes and goes with its Node object.
 * @throws by `ready`: `IpFailed`, `NftFailed`, `MissingProgram`, or an errno's name.
 */
export function startNodes(options: NodesOptions): NodesHandle {
  const { source, log, settings = defaultSettings } = options;
  const home = homeNetNs();
  const nodes = new Map<string, NodeNetwork>();
  const members = new Map<string, Member>();

  const join = (node: NodeIdentity): NodeNetwork => {
    if (nodes.has(node.name)) throw new InroadError("NodeExists", `there is a node ${node.name} already`);
    const { network, mtu } = createNode(node, { source, log, settings });
    nodes.set(node.name, network);
    members.set(node.name, { network, mtu, remotes: createRemotes(network.ns, settings.overlay, log) });
    return network;
  };
  const follow = (snapshot: Snapshot): void => {
    for (const [name, { remotes }] of members) remotes.set(planRemotes(snapshot, name, settings.overlay));
  };
  const build = async (): Promise<void> => {
    setSysctls(home, routerSysctls(settings));
    setOptionalSysctls(home, settings);
    await ipBatch(home, planBridge(settings));
    await wire([...nodes.values()], settings);
  };

  for (const node of options.nodes) join(node);
  const ready = build().then(() => follow(source.current()));
  const unsubscribe = source.subscribe(
    (snapshot) =>
      void ready.then(
        () => follow(snapshot),
        () => undefined,
      ),
  );
  const remove = async (name: string): Promise<void> => {
    const member = members.get(name);
    if (member === undefined) return;
    members.delete(name);
    nodes.delete(name);
    member.mtu.close();
    await Promise.all([member.remotes.close(), member.network.policy.close().catch(() => undefined)]);
    for (const line of planDetachment(member.network.node))
      await ipBatch(home, [line]).catch(() => undefined);
    closeNetNs(member.network.ns);
  };

  const measurePaths = async (): Promise<void> => {
    await ready;
    const known = [...members].map(([name, { mtu }]) =>
      mtu.measure(planRemotes(source.current(), name, settings.overlay)),
    );
    await Promise.all(known);
  };
  const stopMeasuring = every(MEASURE_MS, measurePaths);

  return {
    nodes,
    ready,
    measurePaths,
    async add(node) {
      await ready;
      const network = join(node);
      await wire([network], settings);
      follow(source.current());
      return network;
    },
    remove,
    settled: async () => {
      await ready;
      const snapshot = source.current();
      const programmed = [...nodes.values()].map(({ policy }) => policy.programmed(snapshot));
      await Promise.all([...[...members.values()].map(({ remotes }) => remotes.settled()), ...programmed]);
    },
    async close() {
      stopMeasuring();
      unsubscribe();
      await ready.catch(() => undefined);
      await Promise.all([...members.keys()].map(remove));
      await ipBatch(home, [`link delete ${settings.underlay.bridge}`]).catch(() => undefined);
    },
  };
}

const MEASURE_MS = 10_000;

/** Does something again and again, never twice at a time; what it throws is its own matter. */
function every(ms: number, action: () => Promise<void>): () => void {
  let timer: NodeJS.Timeout | undefined;
  let over = false;
  const wait = (): void => {
    if (over) return;
    timer = setTimeout(() => void action().then(wait, wait), ms);
    timer.unref();
  };
  wait();
  return () => {
    over = true;
    clearTimeout(timer);
  };
}

function createNode(
  node: NodeIdentity,
  { source, log, settings }: Required<Omit<NodesOptions, "nodes">>,
): Pick<Member, "network" | "mtu"> {
  const ns = createNetNs(node.name);
  setSysctls(ns, routerSysctls(settings));
  setOptionalSysctls(ns, settings);
  const annotations = overlays[settings.overlay].annotations(node);
  const sandboxes = createSandboxes(node, ns, settings);
  const mtu = createMtuWatch({ ns, sandboxes, settings, log });
  const policy = startPolicyPlane({ source, node: node.name, ns, log: log.child(`policies ${node.name}`) });
  return { network: { node, ns, sandboxes, policy, mtu: mtu.current, annotations }, mtu };
}

/** Joins nodes to the underlay and puts their devices, routes and rules in place. */
async function wire(networks: readonly NodeNetwork[], settings: NodeNetworkSettings): Promise<void> {
  await ipBatch(
    homeNetNs(),
    networks.flatMap(({ node, ns }) => planAttachment(node, ns.path, settings)),
  );
  await Promise.all(
    networks.flatMap(({ node, ns, policy }) => [
      ipBatch(ns, planNode(node, settings)),
      nft(ns, planRules(node, settings)),
      policy.ready,
    ]),
  );
  // The rules may have brought connection tracking, and its sysctls, into the kernel just now.
  for (const { ns } of networks) setOptionalSysctls(ns, settings);
}
