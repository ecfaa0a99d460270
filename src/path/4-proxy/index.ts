/** Hop 4: the Service rules of a node. ClusterIP, NodePort or load-balancer address and port -> pod address and port. */
import {
  conntrack,
  iptablesRestore,
  nft,
  run,
  setSysctls,
  tcpConnect,
  tcpListener,
  unansweredConnections,
} from "#kernel";
import type {
  ConntrackEntry,
  ConntrackFilter,
  LoopbackNetwork,
  LoopbackPlace,
  NetNs,
  NetPlace,
} from "#kernel";
import { codeOf, messageOf } from "#lib/errors";
import type { Log } from "#lib/log";
import type { NodeModel, Snapshot, SnapshotSource } from "#model";
import { startApplying } from "./apply.ts";
import type { Applier } from "./apply.ts";
import type { RuleBackend, RuleKernel } from "./backend.ts";
import { forgetStaleFlows } from "./flows.ts";
import type { FlowKernel } from "./flows.ts";
import { startHealthServers } from "./healthcheck.ts";
import { iptablesBackend } from "./iptables/backend.ts";
import { createProxyMetrics } from "./metrics.ts";
import { nftablesBackend } from "./nftables/backend.ts";
import type { KernelMode, ProxyPlan } from "./plan.ts";
import type { Rotation } from "./rotation.ts";
import { watchSilence } from "./silent.ts";
import type { End, Waiting } from "./silent.ts";
import { userspaceBackend } from "./userspace/backend.ts";

export { explain, listFor } from "./explain.ts";
export { chosenEndpoint } from "./observe.ts";
export type { KernelMode, ProxyMode } from "./plan.ts";
export type { Rotation } from "./rotation.ts";

/** Rules in the kernel of a namespace. */
export interface KernelProxyOptions extends CommonOptions {
  readonly mode: KernelMode;
  /** The node's network namespace; undefined: that of this thread. */
  readonly netns: NetNs | undefined;
  /** How the kernel is reached; tests replace it. */
  readonly kernel?: RuleKernel;
}

/** Rules that this process carries out itself. */
export interface UserspaceProxyOptions extends CommonOptions {
  readonly mode: "userspace";
  /** The node's own place. */
  readonly netns: LoopbackPlace;
  readonly network: LoopbackNetwork;
}

export type ProxyOptions = KernelProxyOptions | UserspaceProxyOptions;

interface CommonOptions {
  readonly source: SnapshotSource;
  /** Name of the node whose rules these are. */
  readonly node: string;
  readonly log: Log;
  /** Called with each snapshot that has been put in force; some snapshots are skipped for later ones. */
  readonly onProgrammed?: (snapshot: Snapshot) => void;
}

export interface Proxy {
  /** Resolves when the rules of the first snapshot are in force. */
  readonly ready: Promise<void>;
  /** Resolves when the rules of this snapshot, or of a later one of the source, are in force. */
  programmed(snapshot: Snapshot): Promise<void>;
  /** The order of these lists' endpoints and whose turn is next, read from the kernel; unreadable ones are left out. */
  rotation(lists: readonly string[]): Promise<ReadonlyMap<string, Rotation>>;
  /** Endpoints that get nothing new since they do not answer this node (`address:port`). */
  silent(): ReadonlySet<string>;
  /** Connections whose first packet came as the filter says, from whatever keeps account of them on this node. */
  connections(filter: ConntrackFilter): Promise<readonly ConntrackEntry[]>;
  /** The rules of a list, as the kernel has them. */
  rulesOf(list: string): Promise<readonly string[]>;
  /** Closes its ports and removes all its rules, or leaves them in force for the next proxy of this node. */
  close(options?: { readonly keepRules?: boolean }): Promise<void>;
}

/** Rules that wait longer than this for being put in force make the node unhealthy to load balancers. */
const STALE_MS = 10_000;

/** Starts keeping the Service rules of a node, and answering load balancers' health checks there. */
export function startProxy(options: ProxyOptions): Proxy {
  const { source, node, netns, mode, log } = options;
  const metrics = createProxyMetrics(mode, node);
  const { backend, afterwards, connections, waiting } =
    options.mode === "userspace" ? rulesInProcess(options) : rulesInKernel(options, metrics.forgotFlows);
  const health = startHealthServers({
    listen: (port, where) => tcpListener(netns, where === "node" ? "0.0.0.0" : "127.0.0.1", port),
    healthy: () => applier.waitingFor() < STALE_MS && applier.inForce() !== undefined,
    eligible: () => isEligible(source.current().nodes.get(node)),
    mode,
    metrics,
    log,
  });
  const silence = watchSilence({
    waiting,
    answers: (endpoint, withinMs) => answers(netns, endpoint, withinMs),
    matters: (endpoint) => hasOthers(source.current(), endpoint),
    onChange: () => applier.refresh(),
    log,
  });
  const applier: Applier = startApplying({
    source,
    node,
    backend,
    log,
    onProgrammed: options.onProgrammed ?? (() => undefined),
    recorder: metrics.recorder,
    silent: silence.silent,
    after: async (plan, previous) => {
      health.update(plan);
      await afterwards(plan, previous);
    },
  });
  return {
    ready: applier.ready,
    programmed: (snapshot) => applier.programmed(snapshot),
    rotation: (lists) => applier.rotation(lists),
    connections,
    rulesOf: (list) => backend.rulesOf(list),
    silent: silence.silent,
    async close({ keepRules = false } = {}) {
      silence.close();
      await health.close();
      await applier.close(keepRules);
    },
  };
}

/** Removes whatever rules a proxy of any mode left on this node; nobody else's. */
export async function cleanUp(netns: NetNs | undefined): Promise<void> {
  const kernel = ruleKernel(netns);
  for (const backend of [nftablesBackend(kernel), iptablesBackend(kernel)]) {
    try {
      await backend.remove();
    } catch (error) {
      // Rules that need a program can only have been made with it.
      if (codeOf(error) !== "MissingProgram") throw error;
    }
  }
}

/** Whether a TCP connection of the node is answered: accepted, or refused by somebody who is there. */
function answers(netns: NetPlace | undefined, { address, port }: End, withinMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = tcpConnect(netns, address, port);
    const end = (answered: boolean): void => {
      socket.destroy();
      resolve(answered);
    };
    socket.setTimeout(withinMs, () => end(false));
    socket.on("connect", () => end(true));
    socket.on("error", (error) => end(codeOf(error) === "ECONNREFUSED" || codeOf(error) === "ECONNRESET"));
  });
}

/** Whether this is one of several endpoints of a Service: only then connections could go elsewhere. */
function hasOthers({ services }: Snapshot, { address, port }: End): boolean {
  for (const service of services.values()) {
    for (const { endpoints } of service.ports) {
      if (endpoints.length > 1 && endpoints.some((one) => one.address === address && one.port === port))
        return true;
    }
  }
  return false;
}

/** A node that is not known yet, or about to go, gets no new traffic from load balancers (KEP-3836). */
function isEligible(node: NodeModel | undefined): boolean {
  return node !== undefined && node.leaving !== true;
}

/** Rules of one kind, and what goes with them. */
interface Rules extends Pick<Proxy, "connections"> {
  readonly backend: RuleBackend;
  readonly waiting: () => readonly Waiting[];
  readonly afterwards: (plan: ProxyPlan, previous: ProxyPlan | undefined) => Promise<void>;
}

function rulesInProcess(options: UserspaceProxyOptions): Rules {
  const { network, netns: place, log } = options;
  const backend = userspaceBackend({ network, place, log });
  return {
    backend,
    waiting: backend.waiting,
    afterwards: () => Promise.resolve(),
    connections: (filter) => Promise.resolve(backend.records.find(filter)),
  };
}

function rulesInKernel(options: KernelProxyOptions, onForgotten: (count: number) => void): Rules {
  const { netns, mode, log } = options;
  const kernel = options.kernel ?? ruleKernel(netns);
  return {
    backend: mode === "nftables" ? nftablesBackend(kernel) : iptablesBackend(kernel),
    connections: (filter) => conntrack(netns, filter),
    waiting: () => unansweredConnections(netns),
    async afterwards(plan, previous) {
      if (previous === undefined) keepOutOfWindowPackets(netns, log);
      const forgotten = forgetStaleFlows(plan, previous, flowKernel(netns, onForgotten));
      // At the start only a predecessor's flows can be stale: nobody needs to wait for that.
      if (previous !== undefined) await forgotten;
      else forgotten.catch((error) => log.warn(`cannot forget old UDP flows: ${messageOf(error)}`));
    },
  };
}

function ruleKernel(netns: NetNs | undefined): RuleKernel {
  return {
    nft: (script, options) => nft(netns, script, options),
    iptablesRestore: (text) => iptablesRestore(netns, text),
    run: (command, args, input) => run(netns, command, args, input),
  };
}

function flowKernel(netns: NetNs | undefined, onForgotten: (count: number) => void): FlowKernel {
  return {
    async flowsTo(destination, destinationPort) {
      try {
        return await conntrack(netns, { protocol: "udp", destination, destinationPort });
      } catch (error) {
        if (codeOf(error) === "MissingProgram") return [];
        throw error;
      }
    },
    async forget({ original }: ConntrackEntry) {
      const ends = ["--orig-src", original.source, "--orig-dst", original.destination];
      const ports = ["--sport", String(original.sourcePort), "--dport", String(original.destinationPort)];
      await run(netns, "conntrack", ["-D", "-p", "udp", ...ends, ...ports]);
      onForgotten(1);
    },
  };
}

/** Packets out of the TCP window would otherwise pass untranslated and reset their connection (K#74839). */
function keepOutOfWindowPackets(netns: NetNs | undefined, log: Log): void {
  try {
    setSysctls(netns, { "net/netfilter/nf_conntrack_tcp_be_liberal": "1" });
  } catch (error) {
    log.warn(messageOf(error));
  }
}
