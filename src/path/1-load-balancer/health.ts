/**
 * Asks nodes for their health over HTTP. Two failures in a row take a node out, one good answer brings it back;
 * nothing is asked twice at one time.
 */
import type { Socket } from "node:net";
import { codeOf, messageOf } from "#lib/errors";
import { afterRunning, systemClock, type Clock } from "#lib/running-time";
import type { Health, HealthTarget } from "./plan.ts";

export interface HealthCheckerOptions {
  /** A connection to a node that is being made; events as of net.Socket. */
  readonly dial: (address: string, port: number) => Socket;
  /** Called when the health of any target has changed. */
  readonly onChange: () => void;
  /** Milliseconds from the start of one question to the next. */
  readonly intervalMs?: number;
  /** Milliseconds after which a question counts as failed. */
  readonly timeoutMs?: number;
  /** Timers, for tests. */
  readonly clock?: Clock;
}

export interface HealthChecker {
  /** Asks exactly these targets from now on. Known ones keep their health. */
  watch(targets: readonly HealthTarget[]): void;
  readonly healthOf: (target: HealthTarget) => Health;
  close(): void;
}

const FAILURES = 2;
/** As `intervalMs`, for a target that is out: it is used soon after it comes up. */
const RETRY_MS = 50;
/** Longest answer read until its first line must have ended, bytes. */
const MAX_ANSWER = 4096;

interface Watched {
  health: Health;
  failures: number;
  stop: () => void;
}

export function createHealthChecker(options: HealthCheckerOptions): HealthChecker {
  const { dial, onChange, intervalMs = 200, timeoutMs = 300, clock = systemClock } = options;
  const watched = new Map<string, Watched>();

  const ask = (target: HealthTarget, entry: Watched): void => {
    const startedAt = clock.now();
    entry.stop = askOnce(target, { dial, timeoutMs, clock }, (result) => {
      const isUp = [entry.health.state, result.state].includes("healthy");
      const rest = Math.max(0, (isUp ? intervalMs : RETRY_MS) - (clock.now() - startedAt));
      entry.stop = clock.after(rest, () => ask(target, entry));
      learn(entry, result);
    });
  };
  const learn = (entry: Watched, result: Health): void => {
    entry.failures = result.state === "healthy" ? 0 : entry.failures + 1;
    const settled =
      result.state === "healthy" || entry.failures >= FAILURES || entry.health.state === "unknown";
    if (!settled || same(entry.health, result)) return;
    entry.health = result;
    onChange();
  };

  return {
    watch(targets) {
      const wanted = new Map(targets.map((target) => [keyOf(target), target]));
      for (const [key, entry] of watched) {
        if (wanted.has(key)) continue;
        entry.stop();
        watched.delete(key);
      }
      for (const [key, target] of wanted) {
        if (watched.has(key)) continue;
        const entry: Watched = { health: { state: "unknown" }, failures: 0, stop: () => undefined };
        watched.set(key, entry);
        ask(target, entry);
      }
    },
    healthOf: (target) => watched.get(keyOf(target))?.health ?? { state: "unknown" },
    close() {
      for (const entry of watched.values()) entry.stop();
      watched.clear();
    },
  };
}

function keyOf({ node, address, port }: HealthTarget): string {
  return `${node} ${address}:${port}`;
}

function same(a: Health, b: Health): boolean {
  return a.state === b.state && reasonOf(a) === reasonOf(b);
}

function reasonOf(health: Health): string {
  return "reason" in health ? health.reason : "";
}

/** One question; returns how to break it off, after which `done` is not called. */
function askOnce(
  target: HealthTarget,
  { dial, timeoutMs, clock }: Required<Pick<HealthCheckerOptions, "dial" | "timeoutMs" | "clock">>,
  done: (health: Health) => void,
): () => void {
  let socket: Socket | undefined;
  let over = false;
  const stop = (): void => {
    over = true;
    cancelTimer();
    socket?.destroy();
  };
  const finish = (health: Health): void => {
    if (over) return;
    stop();
    done(health);
  };
  const late = (): void => finish({ state: "gone", reason: `no answer within ${timeoutMs} ms` });
  const cancelTimer = afterRunning(timeoutMs, late, clock);
  try {
    socket = dial(target.address, target.port);
  } catch (error) {
    // Nothing about the node: a descriptor or a route is missing here.
    queueMicrotask(() => finish({ state: "unhealthy", reason: messageOf(error) }));
    return stop;
  }
  let answer = "";
  socket.on("error", (error) => finish(failure(error)));
  socket.on("close", () => finish({ state: "unhealthy", reason: "closed without an answer" }));
  socket.on("data", (chunk) => {
    answer += chunk.toString("latin1");
    const status = /^HTTP\/1\.[01] (\d{3})[ \r]/.exec(answer)?.[1];
    if (status === "200") finish({ state: "healthy" });
    else if (status !== undefined) finish({ state: "unhealthy", reason: `answers ${status}` });
    else if (answer.length > MAX_ANSWER || answer.includes("\n")) {
      finish({ state: "unhealthy", reason: "does not answer in HTTP" });
    }
  });
  socket.write(
    `GET /healthz HTTP/1.1\r\nHost: ${target.address}:${target.port}\r\nUser-Agent: inroad\r\nConnection: close\r\n\r\n`,
  );
  return stop;
}

/** A refusal comes from a living node; these come from none. */
const goneCodes: ReadonlySet<string> = new Set(["EHOSTUNREACH", "ENETUNREACH", "ETIMEDOUT", "EHOSTDOWN"]);

function failure(error: Error): Health {
  const code = codeOf(error) ?? messageOf(error);
  return { state: goneCodes.has(code) ? "gone" : "unhealthy", reason: code };
}
