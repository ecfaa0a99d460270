/** Hop 4: the Service rules of a node. ClusterIP, NodePort or load-balancer address and port -> pod address and port. */
import { networkInterfaces } from "node:os";
import {
  conntrack,
  inNetNs,
  iptablesRestore,
  nft,
  run,
  setSysctls,
  takePulse,
  tcpListener,
  unansweredConnections,
} from "#kernel";
import type { ConntrackEntry, ConntrackFilter, LoopbackNetwork, LoopbackPlace, NetNs } from "#kernel";
import { codeOf, messageOf } from "#lib/errors";
import { canonicalAddress, familyOf, isInside } from "#lib/ip";
import type { Log } from "#lib/log";
import type { NodeModel, Snapshot, SnapshotSource } from "#model";
import { startApplying } from "./apply.ts";
import type { Applier } from "./apply.ts";
import type { RuleBackend, RuleKernel } from "./backend.ts";
import { fairnessMeter } from "./fairness.ts";
import type { Fairness } from "./fairness.ts";
import { forgetStaleFlows } from "./flows.ts";
import type { FlowKernel } from "./flows.ts";
import { startHealthServers } from "./healthcheck.ts";
import { iptablesBackend } from "./iptables/backend.ts";
import { ipvsBackend } from "./ipvs/backend.ts";
import { createProxyMetrics } from "./metrics.ts";
import { nftablesBackend } from "./nftables/backend.ts";
import type { KernelMode, PlanOptions, ProxyPlan } from "./plan.ts";
import type { Backend, Rotation } from "./rotation.ts";
import { slotSchedulers } from "./spread.ts";
import { watchSilence } from "./silent.ts";
import type { Waiting } from "./silent.ts";
import { addressesOfOthers, answers, endpointsOn, hasOthers, mayAsk } from "./suspects.ts";
import { userspaceBackend } from "./userspace/backend.ts";

export { explain, listFor } from "./explain.ts";
export type { Fairness } from "./fairness.ts";
export { rememberedKey } from "./order.ts";
export { chosenEndpoint } from "./observe.ts";
export type { KernelMode, ProxyMode } from "./plan.ts";
export type { Backend, Rotation } from "./rotation.ts";

type IptablesFlavour = "nft" | "legacy";

const backends: Readonly<Record<KernelMode, (kernel: RuleKernel, flavour?: IptablesFlavour) => RuleBackend>> =
  {
    nftables: (kernel) => nftablesBackend(kernel),
    iptables: iptablesBackend,
    ipvs: (kernel) => ipvsBackend(kernel),
  };

/** Rules in the kernel of a namespace. */
export interface KernelProxyOptions extends CommonOptions {
  readonly mode: KernelMode;
  /** The node's network namespace; undefined: that of this thread. */
  readonly netns: NetNs | undefined;
  /** Which iptables program is used in that mode; the system's default if not said. */
  readonly iptables?: IptablesFlavour;
  /** Node ports are open at the node's addresses in these networks; if not said, at its InternalIPs. */
  readonly nodePortNetworks?: readonly string[];
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
  /** Serve spec.externalIPs. */
  readonly externalIPs?: boolean;
  /** Rewrite the source of every connection to a ClusterIP, also of pods. */
  readonly masqueradeAll?: boolean;
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
  /**
   * How evenly every list's endpoints met connections since they changed last. Reads all counters of the node's rules: some
   * 0.3 s at 10,000 Services. Empty where the mode has no counters.
   */
  fairness(): Promise<readonly Fairness[]>;
  /**
   * The endpoint that a client's next connection to a list goes to because it met it before (sessionAffinity ClientIP);
   * without `endpoint` it takes a turn. Undefined: the rules of this mode do not tell.
   */
  remembered(list: string, client: string): Promise<{ readonly endpoint?: Backend } | undefined>;
  /** The rules of a list, as the kernel has them. */
  rulesOf(list: string): Promise<readonly string[]>;
  /** Closes its ports and removes all its rules, or leaves them in force for the next proxy of this node. */
  close(options?: { readonly keepRules?: boolean }): Promise<void>;
}

/** The endpoints of a node are suspected 80 to 120 ms after its last sign of life. */
const MISSED_PINGS = 2;

/** Rules that wait longer than this for being put in force make the node unhealthy to load balancers. */
const STALE_MS = 10_000;

/** Starts keeping the Service rules of a node, and answering load balancers' health checks there. */
export function startProxy(options: ProxyOptions): Proxy {
  const { source, node, netns, mode, log } = options;
  const metrics = createProxyMetrics(mode, node);
  const { backend, afterwards, connections, waiting } =
    options.mode === "userspace" ? rulesInProcess(options) : rulesInKernel(options, metrics.forgotFlows);
  const meter = fairnessMeter();
  const readFairness = async () => meter.read((await backend.counts?.()) ?? new Map());
  const { externalIPs = false, masqueradeAll = false } = options;
  const fixed = { externalIPs, masqueradeAll, slotSchedulers: slotSchedulers[mode] ?? [] };
  const health = startHealthServers({
    listen: (port, where) => tcpListener(netns, where === "node" ? "0.0.0.0" : "127.0.0.1", port),
    healthy: () => applier.waitingFor() < STALE_MS && applier.inForce() !== undefined,
    eligible: () => isEligible(source.current().nodes.get(node)),
    mode,
    metrics,
    readMetrics: async () => {
      metrics.balanced(await readFairness());
      return metrics.text();
    },
    log,
  });
  const silence = watchSilence({
    waiting,
    suspected: () =>
      endpointsOn(source.current(), pulse.isSilent).filter((end) => mayAsk(source.current(), node, end)),
    answers: (endpoint, withinMs) => answers(netns, endpoint, withinMs),
    matters: (endpoint) => hasOthers(source.current(), endpoint) && mayAsk(source.current(), node, endpoint),
    onChange: () => applier.refresh(),
    log,
  });
  const pulse = takePulse(netns, {
    misses: MISSED_PINGS,
    onChange: silence.hurry,
    onFailure: (error) =>
      log.warn("no pings: a dead node is found by unanswered connections, later", {
        reason: messageOf(error),
      }),
  });
  const applier: Applier = startApplying({
    source,
    node,
    backend,
    log,
    onProgrammed: options.onProgrammed ?? (() => undefined),
    recorder: metrics.recorder,
    planOptions: () => ({ ...fixed, ...nodePortAddressesOf(options), silent: silence.silent() }),
    after: async (plan, previous, continued) => {
      meter.follow(plan, continued);
      health.update(plan);
      pulse.watch(addressesOfOthers(source.current(), node));
      await afterwards(plan, previous);
    },
  });
  return {
    ready: applier.ready,
    programmed: (snapshot) => applier.programmed(snapshot),
    rotation: (lists) => applier.rotation(lists),
    fairness: readFairness,
    connections,
    async remembered(list, client) {
      if (backend.remembered === undefined) return undefined;
      const endpoint = await backend.remembered(list, client);
      return endpoint === undefined ? {} : { endpoint };
    },
    rulesOf: (list) => backend.rulesOf(list),
    silent: silence.silent,
    async close({ keepRules = false } = {}) {
      silence.close();
      pulse.close();
      await health.close();
      await applier.close(keepRules);
    },
  };
}

/** Addresses come and go, so they are looked up for every plan. Node ports are never opened on loopback. */
function nodePortAddressesOf(options: ProxyOptions): PlanOptions {
  if (options.mode === "userspace" || options.nodePortNetworks === undefined) return {};
  const { netns, nodePortNetworks } = options;
  const found = inNetNs(netns, () => Object.values(networkInterfaces()).flatMap((all) => all ?? []));
  const addresses = found
    .filter(({ internal }) => !internal)
    .flatMap(({ address }) => canonicalAddress(address) ?? []);
  const open = addresses.filter((address) => nodePortNetworks.some((network) => isInside(address, network)));
  return { nodePortAddresses: [...new Set(open)] };
}

/** Removes whatever rules a proxy of any mode left on this node; nobody else's. */
export async function cleanUp(netns: NetNs | undefined): Promise<void> {
  const kernel = ruleKernel(netns);
  for (const backendOn of Object.values(backends)) {
    try {
      await backendOn(kernel).remove();
    } catch (error) {
      // Rules that need a program can only have been made with it.
      if (codeOf(error) !== "MissingProgram") throw error;
    }
  }
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
    backend: backends[mode](kernel, options.iptables),
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
    iptablesRestore: (text, program) => iptablesRestore(netns, text, program),
    run: (command, args, input) => run(netns, command, args, input),
    setSysctls: (values) => setSysctls(netns, values),
  };
}

function flowKernel(netns: NetNs | undefined, onForgotten: (count: number) => void): FlowKernel {
  return {
    async flows(family, to) {
      const only = to === undefined ? {} : { destination: to.address, destinationPort: to.port };
      try {
        return await conntrack(netns, { protocol: "udp", family, ...only });
      } catch (error) {
        if (codeOf(error) === "MissingProgram") return [];
        throw error;
      }
    },
    async forget({ original }: ConntrackEntry) {
      const ends = ["--orig-src", original.source, "--orig-dst", original.destination];
      const ports = ["--sport", String(original.sourcePort), "--dport", String(original.destinationPort)];
      const family = familyOf(original.source) === "IPv4" ? "ipv4" : "ipv6";
      await run(netns, "conntrack", ["-D", "-f", family, "-p", "udp", ...ends, ...ports]);
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
