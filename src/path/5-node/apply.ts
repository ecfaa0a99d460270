/** Makes the planned network: node namespaces, the underlay that joins them, overlay, rules, pods. */
import { messageOf } from "#lib/errors";
import type { Log } from "#lib/log";
import { bridgeBatch, closeNetNs, createNetNs, homeNetNs, ipBatch, nft, setSysctls } from "#kernel";
import type { NetNs } from "#kernel";
import type { Snapshot, SnapshotSource } from "#model";
import {
  nodeAnnotations,
  nodeDevice,
  planNode,
  planRemote,
  planRemotes,
  planRules,
  planUnderlay,
  routerSysctls,
} from "./plan.ts";
import type { NodeIdentity, RemoteNode } from "./plan.ts";
import { startPolicyPlane } from "./policy/apply.ts";
import type { PolicyPlane } from "./policy/apply.ts";
import { createSandboxes, setOptionalSysctls } from "./sandboxes.ts";
import type { Sandboxes } from "./sandboxes.ts";
import { defaultSettings } from "./settings.ts";
import type { NodeNetworkSettings } from "./settings.ts";

/** One node's network, for the components that live on it. */
export interface NodeNetwork {
  readonly node: NodeIdentity;
  readonly ns: NetNs;
  readonly sandboxes: Sandboxes;
  /** The NetworkPolicies of its pods. */
  readonly policy: PolicyPlane;
  /** To be put on the Node object, so that the other nodes find this one's tunnel. */
  readonly annotations: Readonly<Record<string, string>>;
}

export interface NodesHandle {
  /** By node name; usable at once (namespaces exist), wired when `ready`. */
  readonly nodes: ReadonlyMap<string, NodeNetwork>;
  readonly ready: Promise<void>;
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

/**
 * Builds the underlay in this thread's home namespace and one namespace per node, then follows the snapshots: the
 * overlay entries of a node come and go with its Node object.
 * @throws by `ready`: `IpFailed`, `NftFailed`, `MissingProgram`, or an errno's name.
 */
export function startNodes(options: NodesOptions): NodesHandle {
  const { source, log, settings = defaultSettings } = options;
  const nodes = new Map(options.nodes.map((node) => [node.name, createNode(node, options)]));
  const overlays = [...nodes.values()].map((network) => createOverlay(network, log));

  const build = async (): Promise<void> => {
    setSysctls(homeNetNs(), routerSysctls);
    setOptionalSysctls(homeNetNs());
    const ends = [...nodes.values()].map(({ node, ns }) => ({ node, path: ns.path }));
    await ipBatch(homeNetNs(), planUnderlay(settings, ends));
    await Promise.all(
      [...nodes.values()].flatMap(({ node, ns }) => [
        ipBatch(ns, planNode(node, settings)),
        nft(ns, planRules(node, settings)),
      ]),
    );
    // The rules may have brought connection tracking, and its sysctls, into the kernel just now.
    for (const { ns } of nodes.values()) setOptionalSysctls(ns);
  };

  const policies = [...nodes.values()].map(({ policy }) => policy);
  const wired = Promise.all([build(), ...policies.map((policy) => policy.ready)]);
  const follow = (snapshot: Snapshot): void => {
    for (const overlay of overlays) overlay.set(planRemotes(snapshot, overlay.name));
  };
  const ready = wired.then(() => follow(source.current()));
  const unsubscribe = source.subscribe(
    (snapshot) =>
      void ready.then(
        () => follow(snapshot),
        () => undefined,
      ),
  );

  return {
    nodes,
    ready,
    settled: async () => {
      await ready;
      const programmed = policies.map((policy) => policy.programmed(source.current()));
      await Promise.all([...overlays.map((overlay) => overlay.settled()), ...programmed]);
    },
    async close() {
      unsubscribe();
      await ready.catch(() => undefined);
      const planes = policies.map((policy) => policy.close().catch(() => undefined));
      await Promise.all([...overlays.map((overlay) => overlay.close()), ...planes]);
      const devices = [settings.underlay.bridge, ...[...nodes.keys()].map((name) => nodeDevice(name))];
      for (const device of devices) {
        await ipBatch(homeNetNs(), [`link delete ${device}`]).catch(() => undefined);
      }
      for (const { ns } of nodes.values()) closeNetNs(ns);
    },
  };
}

function createNode(node: NodeIdentity, options: NodesOptions): NodeNetwork {
  const { source, log, settings = defaultSettings } = options;
  const ns = createNetNs(node.name);
  setSysctls(ns, routerSysctls);
  setOptionalSysctls(ns);
  const policy = startPolicyPlane({ source, node: node.name, ns, log: log.child(`policies ${node.name}`) });
  return {
    node,
    ns,
    sandboxes: createSandboxes(node, ns, settings),
    policy,
    annotations: nodeAnnotations(node),
  };
}

interface Overlay {
  readonly name: string;
  set(wanted: readonly RemoteNode[]): void;
  settled(): Promise<void>;
  close(): Promise<void>;
}

const RETRY_MS = 200;

/** Keeps one node's entries for the others equal to what was wanted last; a failed program is tried again. */
function createOverlay({ node, ns }: NodeNetwork, log: Log): Overlay {
  let wanted: readonly RemoteNode[] = [];
  let have: readonly RemoteNode[] = [];
  let work = Promise.resolve();
  let queued = false;
  let closed = false;

  const sync = async (): Promise<void> => {
    queued = false;
    const target = wanted;
    const gone = have.filter((remote) => !target.some((other) => same(remote, other)));
    const fresh = target.filter((remote) => !have.some((other) => same(remote, other)));
    if (gone.length === 0 && fresh.length === 0) return;
    try {
      for (const remote of gone) await removeRemote(ns, remote);
      have = have.filter((remote) => !gone.includes(remote));
      const add = fresh.map((remote) => planRemote(remote));
      await Promise.all([
        ipBatch(
          ns,
          add.flatMap(({ ip }) => ip),
        ),
        bridgeBatch(
          ns,
          add.flatMap(({ bridge }) => bridge),
        ),
      ]);
      have = [...have, ...fresh];
    } catch (error) {
      if (closed) return;
      log.warn(`overlay of ${node.name} not updated, trying again`, { reason: messageOf(error) });
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      enqueue();
    }
  };
  const enqueue = (): void => {
    if (queued) return;
    queued = true;
    work = work.then(sync);
  };

  return {
    name: node.name,
    set(next) {
      wanted = next;
      enqueue();
    },
    settled: () => work,
    close() {
      closed = true;
      return work;
    },
  };
}

/** What is already gone (its device, say) does not matter. */
async function removeRemote(ns: NetNs, remote: RemoteNode): Promise<void> {
  const { removeIp, removeBridge } = planRemote(remote);
  for (const line of removeIp) await ipBatch(ns, [line]).catch(() => undefined);
  for (const line of removeBridge) await bridgeBatch(ns, [line]).catch(() => undefined);
}

function same(a: RemoteNode, b: RemoteNode): boolean {
  return a.name === b.name && a.address === b.address && a.podCIDR === b.podCIDR && a.vtepMac === b.vtepMac;
}
