/** One container of a pod through all its lives: start, probes, end, back-off, restart, stop. */
import { codeOf, messageOf } from "#lib/errors";
import type { Clock } from "#client";
import type { Container, Probe } from "kubernetes-types/core/v1.js";
import { runCheck } from "./checks.ts";
import type { CheckResult, CheckTarget } from "./checks.ts";
import { ContainerConfigError } from "./command.ts";
import { createContainerLog } from "./logs.ts";
import type { ContainerLog } from "./logs.ts";
import type { Port } from "./pod-object.ts";
import { startProber } from "./prober.ts";
import type { Prober } from "./prober.ts";
import type { AnsweredRequest, ContainerEnd, ContainerPlace, Runner, RunningContainer } from "./runner.ts";

/** A crashed container starts again at once, then after 10 s, 20 s ... up to 5 min, as a kubelet does it. */
const FIRST_BACKOFF_MS = 10_000;
const LONGEST_BACKOFF_MS = 300_000;
/** After this long a life the back-off begins anew. */
const HEALTHY_MS = 600_000;

export interface Ended extends ContainerEnd {
  readonly startedAt: string;
  readonly finishedAt: string;
}

export type ContainerState =
  | { readonly kind: "waiting"; readonly reason: string; readonly message?: string }
  | { readonly kind: "running"; readonly startedAt: string }
  | ({ readonly kind: "terminated" } & Ended);

/** What a pod's status is made of. */
export interface ContainerView {
  readonly container: Container;
  readonly runner: Runner["kind"];
  readonly state: ContainerState;
  readonly last: Ended | undefined;
  readonly restarts: number;
  /** The startup probe, if any, has succeeded. */
  readonly started: boolean;
  readonly ready: boolean;
  /** Probes and hooks that count as passed because nothing is carried out for them. */
  readonly simulated: readonly string[];
}

export interface ContainerLife {
  view(): ContainerView;
  start(): void;
  /** SIGTERM, then SIGKILL after the time; resolves when it is over. Later calls may shorten the time. */
  stop(graceMs: number): Promise<void>;
  setPorts(ports: readonly Port[]): void;
  logs(previous: boolean): ContainerLog | undefined;
  account(): readonly AnsweredRequest[];
  /** Resolves when it has ended and will not start again. */
  readonly done: Promise<void>;
}

export interface ContainerOptions {
  readonly place: Omit<ContainerPlace, "output" | "onReadiness">;
  readonly runner: Runner;
  readonly restart: "Always" | "OnFailure" | "Never";
  readonly target: CheckTarget;
  readonly clock: Clock;
  readonly graceMs: number;
  /** Called before a stop begins; the stop waits for it, at most so many milliseconds. */
  readonly beforeStop: (withinMs: number) => Promise<void>;
  readonly onChange: () => void;
  readonly onEvent: (type: "Normal" | "Warning", reason: string, message: string) => void;
}

const simulatedKinds = ["exec", "grpc"] as const;

/** Probes that nothing is carried out for: commands of a manifest are never run on this host. */
function simulatedBy(container: Container): string[] {
  const probes = {
    startup: container.startupProbe,
    readiness: container.readinessProbe,
    liveness: container.livenessProbe,
  };
  const found = Object.entries(probes).flatMap(([name, probe]) =>
    simulatedKinds.flatMap((kind) => (probe?.[kind] === undefined ? [] : [`${kind} ${name} probe`])),
  );
  const { postStart, preStop } = container.lifecycle ?? {};
  if (postStart?.exec !== undefined || postStart?.httpGet !== undefined) found.push("postStart hook");
  if (preStop?.exec !== undefined) found.push("exec preStop hook");
  return found;
}

export function createContainer(options: ContainerOptions): ContainerLife {
  const { runner, clock, target, onChange, onEvent } = options;
  const { container } = options.place;
  const { promise: done, resolve: setDone } = Promise.withResolvers<void>();
  const simulated = simulatedBy(container);
  let state: ContainerState = { kind: "waiting", reason: "ContainerCreating" };
  let last: Ended | undefined;
  let restarts = 0;
  let backoffMs = 0;
  let running: RunningContainer | undefined;
  let output: ContainerLog | undefined;
  let previous: ContainerLog | undefined;
  let probers: Prober[] = [];
  let started = false;
  let probedReady = false;
  let stopping: Promise<void> | undefined;
  let deadline = Infinity;
  let cancelTimer: (() => void) | undefined;
  let ports = options.place.ports;
  let starting = false;

  const change = (next: ContainerState): void => {
    state = next;
    onChange();
  };
  const now = (): string => new Date(clock.now()).toISOString().replace(/\.\d+Z$/, "Z");

  const start = async (): Promise<void> => {
    previous = output;
    output = createContainerLog();
    started = false;
    probedReady = false;
    starting = true;
    try {
      running = await runner.start({ ...options.place, ports, output, onReadiness: onChange });
    } catch (error) {
      notStarted(error);
      return;
    } finally {
      starting = false;
    }
    const life = running;
    const startedAt = now();
    void life.ended.then((end) => over(end, startedAt));
    if (stopping !== undefined) life.signal("SIGKILL");
    onEvent(
      "Normal",
      "Started",
      `Started container ${container.name}${runner.kind === "stand-in" ? ` (stand-in for image ${container.image ?? ""})` : ""}`,
    );
    startProbes();
    change({ kind: "running", startedAt });
  };

  const notStarted = (error: unknown): void => {
    const message = messageOf(error);
    const reason =
      error instanceof ContainerConfigError
        ? "CreateContainerConfigError"
        : codeOf(error) === "MissingProgram"
          ? "ErrImageNeverPull"
          : "RunContainerError";
    onEvent("Warning", "Failed", `Error: ${message}`);
    output?.line(message);
    if (stopping !== undefined) return setDone();
    change({ kind: "waiting", reason, message });
    cancelTimer = clock.setTimer(FIRST_BACKOFF_MS, () => void start());
  };

  const over = (end: ContainerEnd, startedAt: string): void => {
    closeProbes();
    cancelTimer?.();
    running = undefined;
    started = false;
    output?.end();
    const ended: Ended = { ...end, startedAt, finishedAt: now() };
    const again = options.restart === "Always" || (options.restart === "OnFailure" && end.exitCode !== 0);
    if (stopping !== undefined || !again) {
      change({ kind: "terminated", ...ended });
      setDone();
      return;
    }
    if (Date.parse(ended.finishedAt) - Date.parse(startedAt) > HEALTHY_MS) backoffMs = 0;
    last = ended;
    restarts += 1;
    if (backoffMs === 0) {
      backoffMs = FIRST_BACKOFF_MS;
      void start();
      return;
    }
    const { namespace, name, uid } = options.place.pod.metadata ?? {};
    const message = `back-off ${readable(backoffMs)} restarting failed container=${container.name} pod=${name}_${namespace}(${uid})`;
    onEvent(
      "Warning",
      "BackOff",
      `Back-off restarting failed container ${container.name} in pod ${name}_${namespace}(${uid})`,
    );
    cancelTimer = clock.setTimer(backoffMs, () => void start());
    backoffMs = Math.min(backoffMs * 2, LONGEST_BACKOFF_MS);
    change({ kind: "waiting", reason: "CrashLoopBackOff", message });
  };

  const prober = (kind: string, probe: Probe, onVerdict: (ok: boolean) => void): void => {
    probers.push(
      startProber({
        probe,
        clock,
        eager: kind !== "Liveness",
        attempt: (timeoutMs) => attempt(probe, timeoutMs),
        onVerdict,
        onFailure: (message) => onEvent("Warning", "Unhealthy", `${kind} probe failed: ${message}`),
      }),
    );
  };

  const attempt = (probe: Probe, timeoutMs: number): Promise<CheckResult> =>
    probe.exec !== undefined || probe.grpc !== undefined
      ? Promise.resolve({ ok: true, message: "counts as passed" })
      : runCheck(probe, target, timeoutMs);

  const startProbes = (): void => {
    const { startupProbe } = container;
    if (startupProbe === undefined) {
      afterStartup();
      return;
    }
    prober("Startup", startupProbe, (ok) => {
      if (ok) {
        closeProbes();
        afterStartup();
        onChange();
      } else restartBecause("failed startup probe", startupProbe);
    });
  };

  const afterStartup = (): void => {
    const { readinessProbe, livenessProbe } = container;
    started = true;
    probedReady = readinessProbe === undefined;
    if (readinessProbe !== undefined) {
      prober("Readiness", readinessProbe, (ok) => {
        probedReady = ok;
        onChange();
      });
    }
    if (livenessProbe !== undefined) {
      prober("Liveness", livenessProbe, (ok) => {
        if (!ok) restartBecause("failed liveness probe", livenessProbe);
      });
    }
  };

  const restartBecause = (why: string, probe: Probe): void => {
    onEvent("Normal", "Killing", `Container ${container.name} ${why}, will be restarted`);
    closeProbes();
    const life = running;
    life?.signal("SIGTERM");
    const graceMs = (probe.terminationGracePeriodSeconds ?? options.graceMs / 1000) * 1000;
    const cancel = clock.setTimer(graceMs, () => life?.signal("SIGKILL"));
    void life?.ended.then(cancel);
  };

  const closeProbes = (): void => {
    for (const one of probers) one.close();
    probers = [];
  };

  /** The end of the grace time; a later, shorter wish moves it forward. */
  const armKill = (graceMs: number): void => {
    const at = clock.now() + graceMs;
    if (at >= deadline) return;
    deadline = at;
    cancelTimer?.();
    cancelTimer = clock.setTimer(graceMs, () => running?.signal("SIGKILL"));
  };

  const preStop = async (graceMs: number): Promise<void> => {
    const hook = container.lifecycle?.preStop;
    const sleepMs = (hook?.sleep?.seconds ?? 0) * 1000;
    if (sleepMs > 0)
      await new Promise<void>((resolve) => clock.setTimer(Math.min(sleepMs, graceMs), resolve));
    if (hook?.httpGet !== undefined) await runCheck(hook, target, graceMs);
  };

  return {
    done,
    view: () => ({
      container,
      runner: runner.kind,
      state,
      last,
      restarts,
      started: state.kind === "running" && started,
      ready: state.kind === "running" && started && probedReady && running?.ready() !== false,
      simulated,
    }),
    start: () => void start(),
    stop(graceMs) {
      const first = stopping === undefined;
      stopping ??= done;
      if (running === undefined) {
        cancelTimer?.();
        if (!starting) setDone();
        return stopping;
      }
      armKill(graceMs);
      if (!first) return stopping;
      onEvent("Normal", "Killing", `Stopping container ${container.name}`);
      const life = running;
      void options
        .beforeStop(graceMs)
        .then(() => preStop(graceMs))
        .then(() => life.signal("SIGTERM"));
      return stopping;
    },
    setPorts(next) {
      ports = next;
      running?.setPorts?.(next);
    },
    logs: (before) => (before ? previous : output),
    account: () => running?.account?.() ?? [],
  };
}

/** Go's way of writing a duration, as users know it: 10s, 1m20s, 5m0s. */
function readable(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`;
}
