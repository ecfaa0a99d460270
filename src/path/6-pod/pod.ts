/** One pod on a node, from its first sight to its last: sandbox, init containers, containers, status, deletion. */
import type { NetPlace } from "#kernel";
import type { KubeObject } from "#kube";
import { messageOf } from "#lib/errors";
import type { Log } from "#lib/log";
import type { Clock } from "#client";
import type { Container, PodStatus } from "kubernetes-types/core/v1.js";
import { createContainer } from "./container.ts";
import type { ContainerLife, ContainerView } from "./container.ts";
import type { ContainerLog } from "./logs.ts";
import { planPorts } from "./ports.ts";
import { createPresence } from "./presence.ts";
import { asPod, isSidecar, longRunning, podId, specOf } from "./pod-object.ts";
import type { PodId, Port } from "./pod-object.ts";
import type { Rollout } from "./rollout.ts";
import type { AnsweredRequest, Runner } from "./runner.ts";
import { podStatus } from "./status.ts";
import type { InitView } from "./status.ts";

interface PodNetwork {
  readonly ns: NetPlace;
  /** The primary one of `addresses`. */
  readonly address: string;
  /** One of each family. */
  readonly addresses: readonly string[];
}

/** Makes and removes the network of pods; the node hop provides it. */
export interface Sandboxes {
  create(pod: PodId): Promise<PodNetwork>;
  remove(pod: PodId): Promise<void>;
}

/** Knows whether the NetworkPolicies of a pod are in force; the node hop provides it. */
export interface Policies {
  /** Resolves when they are, for the pod with this address. */
  covers(pod: PodId, address: string): Promise<void>;
}

export interface PodContext {
  readonly node: { readonly name: string; readonly address: string; readonly addresses: readonly string[] };
  /** The node's namespace: for probes, and for pods in the host's network. */
  readonly nodeNs: NetPlace;
  readonly sandboxes: Sandboxes;
  readonly policy: Policies;
  readonly runnerFor: (pod: KubeObject, container: Container) => Runner;
  /** Ports that Services aim at, as of now. */
  readonly targetPorts: (pod: KubeObject) => readonly Port[];
  readonly rollout: Rollout;
  readonly clock: Clock;
  readonly log: Log;
  /** Stores a status. Fails when the API does; it is tried again then. */
  readonly writeStatus: (pod: PodId, status: PodStatus) => Promise<void>;
  /** Removes the object for good, at the end of a deletion. */
  readonly finishDelete: (pod: PodId) => Promise<void>;
  readonly onEvent: (pod: KubeObject, type: "Normal" | "Warning", reason: string, message: string) => void;
}

export interface PodLife {
  readonly id: PodId;
  /** A newer version of the object. */
  update(object: KubeObject): void;
  /** Stores the status once more, whatever was stored last: somebody else has changed it. */
  republish(): void;
  /** Services changed: stand-ins may have to listen elsewhere. */
  refreshPorts(): void;
  /** Ends it at once, without touching the object (it is gone, or the cluster goes down). */
  kill(): Promise<void>;
  object(): KubeObject;
  logs(container: string, previous: boolean): ContainerLog | undefined;
  account(): readonly AnsweredRequest[];
}

const RETRY_MS = 500;
const DEFAULT_GRACE_SECONDS = 30;
/** How long a pod waits for its NetworkPolicies before it starts without. */
const POLICY_PATIENCE_MS = 10_000;

export function startPod(first: KubeObject, context: PodContext): PodLife {
  const { clock, node, log } = context;
  const id = podId(first);
  const spec = specOf(first);
  const inits = (spec.initContainers ?? []).filter((container) => !isSidecar(container));
  const initViews = new Map<string, InitView>(
    inits.map((container) => [
      container.name,
      { container, restarts: 0, state: { kind: "waiting", reason: "PodInitializing" } },
    ]),
  );
  const notYet = longRunning(spec).map((container) =>
    waitingView(container, context.runnerFor(first, container).kind),
  );
  let object = first;
  let lives: ContainerLife[] = [];
  let addresses: readonly string[] = [];
  let ending: Promise<void> | undefined;
  let gone = false;
  /** Fulfilled when the pod is to end. */
  const leaving = Promise.withResolvers<void>();
  const startTime = asPod(first).status?.startTime ?? timestamp(clock.now());
  const publisher = createPublisher(context, id, () => {
    const view = {
      object,
      node,
      startTime,
      addresses,
      init: [...initViews.values()],
      containers: lives.length === 0 ? notYet : lives.map((life) => life.view()),
      programmed: presence.programmed(),
    };
    return podStatus(view, timestamp(clock.now()));
  });
  const presence = createPresence({
    object: () => object,
    rollout: context.rollout,
    onProgrammed: publisher.touch,
    onMissing: (missing) => {
      if (gone) return;
      const message = `Not waiting any longer to be programmed by ${missing.join(", ")}`;
      context.onEvent(object, "Warning", "NotProgrammed", message);
    },
  });
  const changed = (): void => {
    presence.update(lives.length > 0 && lives.every((life) => life.view().ready));
    publisher.touch();
  };

  const ports = (): ReadonlyMap<string, readonly Port[]> =>
    planPorts(
      spec,
      context.targetPorts(object),
      (container) => context.runnerFor(object, container).kind === "stand-in",
    );

  const sandbox = async (): Promise<PodNetwork> => {
    if (spec.hostNetwork === true) return { ...node, ns: context.nodeNs };
    for (;;) {
      try {
        return await context.sandboxes.create(id);
      } catch (error) {
        context.onEvent(
          object,
          "Warning",
          "FailedCreatePodSandBox",
          `Failed to create pod sandbox: ${messageOf(error)}`,
        );
        log.warn(`no sandbox for pod ${id.namespace}/${id.name}`, { reason: messageOf(error) });
        await new Promise<void>((resolve) => clock.setTimer(RETRY_MS, resolve));
        if (ending !== undefined) throw error;
      }
    }
  };

  /** The first packet must meet the policies. They need the address, so that is stored before anything runs. */
  const untilProtected = async (at: string): Promise<void> => {
    if (spec.hostNetwork === true) return;
    const { promise: patience, resolve } = Promise.withResolvers<"late">();
    const cancel = clock.setTimer(POLICY_PATIENCE_MS, () => resolve("late"));
    publisher.touch();
    const inForce = context.policy.covers(id, at).catch(() => "late" as const);
    const end = await Promise.race([inForce, patience, leaving.promise]);
    cancel();
    if (end !== "late" || ending !== undefined) return;
    const message = `NetworkPolicies of this pod are not in force on ${node.name} yet; it starts without them`;
    context.onEvent(object, "Warning", "NetworkPolicyNotInForce", message);
    log.warn(`pod ${id.namespace}/${id.name} starts before its policies are in force`);
  };

  const build = async (): Promise<void> => {
    const place = await sandbox();
    addresses = place.addresses;
    await untilProtected(place.address);
    const plan = ports();
    lives = longRunning(spec).map((container) => {
      const restartPolicy = isSidecar(container) ? "Always" : (spec.restartPolicy ?? "Always");
      return createContainer({
        place: {
          pod: object,
          container,
          node,
          ns: place.ns,
          address: place.address,
          addresses: place.addresses,
          log,
          ports: plan.get(container.name) ?? [],
        },
        runner: context.runnerFor(object, container),
        restart: restartPolicy === "Never" || restartPolicy === "OnFailure" ? restartPolicy : "Always",
        target: { from: context.nodeNs, address: place.address, container },
        clock,
        graceMs: (spec.terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS) * 1000,
        beforeStop: presence.leave,
        onChange: changed,
        onEvent: (type, reason, message) => context.onEvent(object, type, reason, message),
      });
    });
    if (ending !== undefined) return;
    completeInits();
    for (const life of lives) life.start();
    publisher.touch();
  };

  /** Images are not run, so what would prepare the pod counts as done. */
  const completeInits = (): void => {
    const at = timestamp(clock.now());
    for (const container of inits) {
      initViews.set(container.name, {
        container,
        restarts: 0,
        state: { kind: "terminated", exitCode: 0, reason: "Completed", startedAt: at, finishedAt: at },
      });
    }
  };

  const built = build().catch((error: unknown) => {
    if (ending === undefined)
      log.error(`pod ${id.namespace}/${id.name} cannot start`, { reason: messageOf(error) });
  });

  const stopAll = async (graceMs: number): Promise<void> => {
    leaving.resolve();
    await built;
    await Promise.all(lives.map((life) => life.stop(graceMs)));
  };

  const terminate = async (graceMs: number): Promise<void> => {
    await stopAll(graceMs);
    if (gone) return;
    publisher.touch();
    await publisher.flush();
    await removeSandbox();
    await retrying(
      () => context.finishDelete(id),
      context,
      () => gone,
    );
  };

  const removeSandbox = async (): Promise<void> => {
    if (spec.hostNetwork === true) return;
    await context.sandboxes
      .remove(id)
      .catch((error: unknown) =>
        log.warn(`sandbox of pod ${id.namespace}/${id.name} not removed`, { reason: messageOf(error) }),
      );
  };

  const checkDeletion = (): void => {
    const { deletionTimestamp, deletionGracePeriodSeconds } = object.metadata ?? {};
    if (deletionTimestamp === undefined) return;
    const graceMs = (deletionGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS) * 1000;
    if (ending === undefined) ending = terminate(graceMs);
    else void stopAll(graceMs);
  };

  publisher.touch();
  checkDeletion();
  return {
    id,
    update(next) {
      object = next;
      checkDeletion();
      changed();
    },
    republish: () => publisher.again(),
    refreshPorts() {
      if (lives.length === 0) return;
      const plan = ports();
      for (const life of lives) life.setPorts(plan.get(life.view().container.name) ?? []);
    },
    async kill() {
      gone = true;
      publisher.close();
      ending ??= Promise.resolve();
      await stopAll(0);
      await removeSandbox();
    },
    object: () => object,
    logs: (container, previous) =>
      lives.find((life) => life.view().container.name === container)?.logs(previous),
    account: () => lives.flatMap((life) => life.account()),
  };
}

/** A container before its pod has a network. */
function waitingView(container: Container, runner: Runner["kind"]): ContainerView {
  const state = { kind: "waiting", reason: "ContainerCreating" } as const;
  return {
    container,
    runner,
    state,
    last: undefined,
    restarts: 0,
    started: false,
    ready: false,
    simulated: [],
  };
}

interface Publisher {
  readonly touch: () => void;
  /** Writes also what was written before. */
  again(): void;
  /** Resolves when the newest status is stored. */
  flush(): Promise<void>;
  close(): void;
}

/** Writes the status when it differs from what was written last; one write at a time. */
function createPublisher(context: PodContext, id: PodId, status: () => PodStatus): Publisher {
  const now = { written: "", closed: false, dirty: false, again: false };
  let work = Promise.resolve();
  let idle = true;

  const write = async (): Promise<void> => {
    // Everything that changes in one turn becomes one write.
    await new Promise((resolve) => setImmediate(resolve));
    while (now.dirty && !now.closed) {
      const { again } = now;
      now.dirty = now.again = false;
      const next = status();
      const text = fingerprint(next);
      if (text === now.written && !again) continue;
      const stored = await retrying(
        () => context.writeStatus(id, next),
        context,
        () => now.closed || now.dirty,
      );
      now.written = stored ? text : "";
    }
    idle = true;
  };

  const touch = (): void => {
    now.dirty = true;
    if (!idle || now.closed) return;
    idle = false;
    work = write();
  };
  return {
    touch,
    again() {
      now.again = true;
      touch();
    },
    flush: () => work,
    close: () => (now.closed = true),
  };
}

/** Times of conditions that did not change differ from what is stored for a moment: they are no reason to write. */
function fingerprint(status: PodStatus): string {
  return JSON.stringify(status, (key, value: unknown) => (key === "lastTransitionTime" ? undefined : value));
}

async function retrying(
  action: () => Promise<void>,
  context: PodContext,
  giveUp: () => boolean,
): Promise<boolean> {
  for (;;) {
    try {
      await action();
      return true;
    } catch (error) {
      context.log.warn("API not reached, trying again", { reason: messageOf(error) });
      await new Promise<void>((resolve) => context.clock.setTimer(RETRY_MS, resolve));
      if (giveUp()) return false;
    }
  }
}

/** RFC 3339 with whole seconds, as Kubernetes writes times. */
function timestamp(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
}
