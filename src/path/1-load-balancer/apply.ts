/** The load balancer at work: health checks, rules and routes in the edge's namespace. */
import { getSysctl, ipBatch, nft, setSysctls, tcpConnect, type NetNs, type NetPlace } from "#kernel";
import { codeOf, messageOf } from "#lib/errors";
import { familyOf, type IpFamily } from "#lib/ip";
import type { Log } from "#lib/log";
import type { Snapshot, SnapshotSource } from "#model";
import { createAnnouncer } from "./announce.ts";
import { createHealthChecker } from "./health.ts";
import { planLoadBalancer, type LoadBalancerPlan } from "./plan.ts";
import {
  baseScript,
  changeScript,
  markNodes,
  noRules,
  renderRules,
  routeLines,
  type Marks,
  type Rules,
} from "./rules.ts";

export interface LoadBalancerOptions {
  readonly source: SnapshotSource & { readonly synced?: Promise<void> };
  /** The place that nodes are asked from for their health. */
  readonly edge: NetPlace;
  /** Puts plans in force: `ruleWriter`, or `steeringWriter` where there are no namespaces. */
  readonly writer: BalanceWriter;
  readonly log: Log;
  /** Called with each snapshot that new connections are balanced by; some are skipped for later ones. */
  readonly onProgrammed?: (snapshot: Snapshot) => void;
}

export interface LoadBalancer {
  /** Fulfilled when the rules of the first snapshot are in the kernel; rejected with `MissingProgram`. */
  readonly ready: Promise<void>;
  /** What it does now: candidates with their health. */
  current(): LoadBalancerPlan;
  /** The node that a connection's conntrack mark stands for. */
  readonly nodeOfMark: (mark: number) => string | undefined;
  /** Fulfilled when no change waits to be written to the kernel. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

const RETRY_MS = 200;

/** Starts balancing. A program that fails is tried again, from the beginning of the table. */
export function startLoadBalancer(options: LoadBalancerOptions): LoadBalancer {
  const { source, edge, writer, log } = options;
  const checker = createHealthChecker({
    dial: (address, port) => tcpConnect(edge, address, port),
    onChange: () => schedule(),
  });
  let plan: LoadBalancerPlan = { ports: [], nodes: [], gone: [], targets: [] };
  let work: Promise<void> = Promise.resolve();
  let waiting = false;
  let closed = false;
  let look: NodeJS.Timeout | undefined;

  const { promise: ready, resolve: setReady, reject: setFailed } = Promise.withResolvers<void>();
  ready.catch(() => undefined);

  const replan = async (): Promise<void> => {
    waiting = false;
    if (closed) return;
    const snapshot = source.current();
    const next = planLoadBalancer(snapshot, checker.healthOf);
    checker.watch(next.targets);
    plan = next;
    await writer.write(next);
    setReady();
    announce(snapshot, next);
  };
  const schedule = (): void => {
    if (waiting || closed) return;
    waiting = true;
    work = work.then(replan).catch((error: unknown) => {
      // What is not installed will not be there at the next try.
      if (codeOf(error) === "MissingProgram") setFailed(error);
      log.warn("load balancer not updated, trying again", { reason: messageOf(error) });
      setTimeout(schedule, RETRY_MS);
    });
  };

  const announce = createAnnouncer(options.onProgrammed ?? (() => undefined), (ms) => {
    clearTimeout(look);
    look = setTimeout(schedule, ms);
  });
  work = source.synced ?? work;
  schedule();
  const unsubscribe = source.subscribe(schedule);
  return {
    ready,
    current: () => plan,
    nodeOfMark: writer.nodeOfMark,
    settled: () => work,
    async close() {
      closed = true;
      clearTimeout(look);
      unsubscribe();
      checker.close();
      await work;
    },
  };
}

/** Packets out of the window must keep their node, too. The switch may only come into being with the first rule. */
function trackLiberally(edge: NetNs): void {
  const liberal = "net/netfilter/nf_conntrack_tcp_be_liberal";
  if (getSysctl(edge, liberal) === "0") setSysctls(edge, { [liberal]: "1" });
}

export interface BalanceWriter {
  /** Puts a plan in force; a failed one is tried again. */
  readonly write: (plan: LoadBalancerPlan) => Promise<void>;
  readonly nodeOfMark: (mark: number) => string | undefined;
}

/**
 * Writes plans to the kernel, only what differs from the last one.
 * @param edge the namespace that packets for the pools are routed to; its `eth0` is on the nodes' network
 * @param families that are served
 * @param pools networks of load-balancer addresses; what of them belongs to no Service is refused
 */
export function ruleWriter(
  edge: NetNs,
  families: readonly IpFamily[],
  pools: readonly string[],
): BalanceWriter {
  let marks: Marks = new Map();
  /** By family. */
  let rules: ReadonlyMap<IpFamily, Rules> = new Map();
  const routes = createRoutes(edge);
  const scriptOf = (family: IpFamily, have: Rules | undefined, want: Rules): string =>
    (have === undefined ? baseScript(family, pools) : "") + changeScript(have ?? noRules, want, family);

  return {
    async write(plan) {
      marks = markNodes(
        marks,
        plan.nodes.map((node) => node.name),
      );
      // Routes first: no packet may bear a mark that leads nowhere.
      for (const family of families) await routes.write(plan, marks, family);
      const next = new Map(families.map((family) => [family, renderRules(plan, marks, family)] as const));
      const scripts = [...next].map(([family, want]) => scriptOf(family, rules.get(family), want));
      // If this fails, nobody knows what is there: the next time begins with empty tables.
      rules = new Map();
      if (scripts.some((script) => script !== "")) await nft(edge, scripts.join(""));
      trackLiberally(edge);
      rules = next;
    },
    nodeOfMark: (mark) => [...marks].find(([, known]) => known === mark)?.[0],
  };
}

/** The routing tables that marks lead to, by family and node. */
function createRoutes(edge: NetNs) {
  const known = new Map<string, string>();
  return {
    async write({ nodes }: LoadBalancerPlan, marks: Marks, family: IpFamily): Promise<void> {
      for (const [name, mark] of marks) {
        const key = `${family} ${name}`;
        const address = nodes
          .find((node) => node.name === name)
          ?.addresses.find((one) => familyOf(one) === family);
        try {
          await ipBatch(edge, routeLines(mark, address, known.get(key), family));
        } catch (error) {
          // Nobody knows how far it came: whatever is there of the node goes, so that the next try can begin anew.
          for (const line of routeLines(mark, undefined, "unknown", family))
            await ipBatch(edge, [line]).catch(() => undefined);
          known.delete(key);
          throw error;
        }
        if (address === undefined) known.delete(key);
        else known.set(key, address);
      }
    },
  };
}
