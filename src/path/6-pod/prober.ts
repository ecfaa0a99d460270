/** The timing of one probe: when to try, and when enough tries agree. */
import { messageOf } from "#lib/errors";
import type { Clock } from "#client";
import type { Probe } from "kubernetes-types/core/v1.js";
import type { CheckResult } from "./checks.ts";

/** A refused first try is repeated soon, before the period: a process needs a moment to listen. */
const EAGER_MS = 100;

export interface Prober {
  close(): void;
}

/**
 * Tries after `initialDelaySeconds`, then every `periodSeconds`; tells every change of the verdict, which needs
 * `successThreshold` or `failureThreshold` equal results in a row (the first verdict too). Defaults are the API's:
 * period 10 s, timeout 1 s, success 1, failure 3.
 * @param eager until the first success, failures do not count and are repeated quickly (100 ms doubling up to the
 * period); for readiness, which begins as not ready anyway.
 */
export function startProber(options: {
  readonly probe: Probe;
  readonly clock: Clock;
  readonly attempt: (timeoutMs: number) => Promise<CheckResult>;
  readonly onVerdict: (ok: boolean, message: string) => void;
  readonly onFailure: (message: string) => void;
  readonly eager: boolean;
}): Prober {
  const { probe, clock, attempt, onVerdict, onFailure } = options;
  const periodMs = (probe.periodSeconds ?? 10) * 1000;
  const needed = { success: probe.successThreshold ?? 1, failure: probe.failureThreshold ?? 3 };
  let eagerMs = options.eager ? EAGER_MS : periodMs;
  let verdict: boolean | undefined;
  let run = { ok: false, length: 0 };
  let closed = false;

  const decide = ({ ok, message }: CheckResult): void => {
    run = run.ok === ok ? { ok, length: run.length + 1 } : { ok, length: 1 };
    if (!ok) onFailure(message);
    if (verdict === ok || run.length < (ok ? needed.success : needed.failure)) return;
    verdict = ok;
    onVerdict(ok, message);
  };

  const round = async (): Promise<void> => {
    const started = clock.now();
    let result: CheckResult;
    try {
      result = await attempt((probe.timeoutSeconds ?? 1) * 1000);
    } catch (error) {
      result = { ok: false, message: messageOf(error) };
    }
    if (closed) return;
    const hasty = !result.ok && verdict === undefined && eagerMs < periodMs;
    if (!hasty) decide(result);
    const wait = hasty ? eagerMs : periodMs;
    if (hasty) eagerMs *= 2;
    cancel = clock.setTimer(Math.max(0, wait - (clock.now() - started)), () => void round());
  };

  let cancel = clock.setTimer((probe.initialDelaySeconds ?? 0) * 1000, () => void round());
  return {
    close() {
      closed = true;
      cancel();
    },
  };
}
