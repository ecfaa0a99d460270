/** The load balancer at work: what nodes answer, the plan that follows from it, and its writer. */
import { takePulse, tcpConnect, type ConntrackEntry, type NetPlace } from "#kernel";
import { codeOf, messageOf } from "#lib/errors";
import type { Log } from "#lib/log";
import type { Snapshot, SnapshotSource } from "#model";
import { createAnnouncer } from "./announce.ts";
import { createHealthChecker } from "./health.ts";
import { planLoadBalancer, type Health, type HealthTarget, type LoadBalancerPlan } from "./plan.ts";

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
  readonly nodeOf: BalanceWriter["nodeOf"];
  /** Fulfilled when no change waits to be written to the kernel. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

const RETRY_MS = 200;
/** A node is silent 120 to 160 ms after its last sign of life. */
const MISSED_PINGS = 3;

/** Starts balancing. A program that fails is tried again, from the beginning of the table. */
export function startLoadBalancer(options: LoadBalancerOptions): LoadBalancer {
  const { source, edge, writer, log } = options;
  const checker = createHealthChecker({
    dial: (address, port) => tcpConnect(edge, address, port),
    onChange: () => schedule(),
  });
  const pulse = takePulse(edge, {
    misses: MISSED_PINGS,
    onChange: () => schedule(),
    onFailure: (error) =>
      log.warn("no pings: a dead node is found by its health checks, later", { reason: messageOf(error) }),
  });
  let plan: LoadBalancerPlan = { ports: [], nodes: [], gone: [], targets: [] };
  let work: Promise<void> = Promise.resolve();
  let waiting = false;
  let closed = false;
  let look: NodeJS.Timeout | undefined;

  const { promise: ready, resolve: setReady, reject: setFailed } = Promise.withResolvers<void>();
  ready.catch(() => undefined);

  const healthOf = (target: HealthTarget): Health => {
    const known = checker.healthOf(target);
    if (known.state !== "healthy" || !pulse.isSilent(target.address)) return known;
    return { state: "silent", reason: "does not answer to pings any more" };
  };
  const replan = async (): Promise<void> => {
    waiting = false;
    if (closed) return;
    const snapshot = source.current();
    const next = planLoadBalancer(snapshot, healthOf);
    checker.watch(next.targets);
    pulse.watch(next.targets.map(({ address }) => address));
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
    nodeOf: writer.nodeOf,
    settled: () => work,
    async close() {
      closed = true;
      clearTimeout(look);
      unsubscribe();
      checker.close();
      pulse.close();
      await work;
      writer.close();
    },
  };
}

export interface BalanceWriter {
  /** Puts a plan in force; a failed one is tried again. */
  readonly write: (plan: LoadBalancerPlan) => Promise<void>;
  /** The node that a connection of the edge was sent to. */
  readonly nodeOf: (entry: Pick<ConntrackEntry, "mark" | "original">) => string | undefined;
  /** Ends the connections that end here. Rules stay. */
  readonly close: () => void;
}
