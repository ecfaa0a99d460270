import { test } from "node:test";
import assert from "node:assert/strict";
import { createManualClock } from "#client";
import type { Probe } from "kubernetes-types/core/v1.js";
import { startProber } from "./prober.ts";

/** Drives a prober by a clock that stands still; `results` says how each attempt ends, the last one for ever. */
function drive(probe: Probe, results: readonly boolean[], eager = false) {
  const clock = createManualClock();
  const attempts: number[] = [];
  const verdicts: [at: number, ok: boolean][] = [];
  let failures = 0;
  const prober = startProber({
    probe,
    clock,
    eager,
    attempt: () => {
      const ok = results[Math.min(attempts.length, results.length - 1)] ?? true;
      attempts.push(clock.now());
      return Promise.resolve({ ok, message: "" });
    },
    onVerdict: (ok) => verdicts.push([clock.now(), ok]),
    onFailure: () => (failures += 1),
  });
  /** Lets time pass in steps of 100 ms, so that attempts end at their own time. */
  const pass = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 100) {
      clock.advance(100);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return { attempts, verdicts, pass, prober, failures: () => failures };
}

test("it begins after the delay and repeats by the period", async () => {
  const { attempts, pass } = drive({ initialDelaySeconds: 2, periodSeconds: 3 }, [true]);
  await pass(8500);
  assert.deepEqual(attempts, [2000, 5000, 8000]);
});

test("the defaults are a period of 10 s, one success, three failures", async () => {
  const { verdicts, pass } = drive({}, [true, false, false, false, false, true]);
  await pass(60_000);
  assert.deepEqual(verdicts, [
    [100, true],
    [30_000, false],
    [50_000, true],
  ]);
});

test("results must follow each other to count", async () => {
  const { verdicts, pass } = drive({ periodSeconds: 1, failureThreshold: 2, successThreshold: 2 }, [
    true,
    false,
    true,
    true,
    false,
    true,
    false,
    false,
  ]);
  await pass(9000);
  assert.deepEqual(
    verdicts.map(([, ok]) => ok),
    [true, false],
  );
});

test("an eager one repeats quickly until the first success, and these failures do not count", async () => {
  const { attempts, verdicts, failures, pass } = drive(
    { periodSeconds: 10, failureThreshold: 1 },
    [false, false, true, true],
    true,
  );
  await pass(11_000);
  assert.deepEqual(attempts, [0, 100, 300, 10_300]);
  assert.deepEqual(verdicts, [[300, true]]);
  assert.equal(failures(), 0);
});

test("closed, it tries no more", async () => {
  const { attempts, prober, pass } = drive({ periodSeconds: 1 }, [true]);
  await pass(1500);
  prober.close();
  const count = attempts.length;
  await pass(5000);
  assert.equal(attempts.length, count);
});
