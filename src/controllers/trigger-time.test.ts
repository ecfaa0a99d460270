import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod, Service } from "./objects.ts";
import { createTriggerTimes } from "./trigger-time.ts";

const service = {
  metadata: { name: "api", uid: "s1", creationTimestamp: "2026-01-01T00:00:00Z" },
} as Service;

function pod(name: string, time: string | undefined): Pod {
  return {
    metadata: { name },
    status: { conditions: [{ type: "Ready", status: "True", lastTransitionTime: time }] },
  } as Pod;
}

test("a change is counted once, the earliest of several new ones, and a new Service by its creation", () => {
  const times = createTriggerTimes();
  const next = (...pods: Pod[]): string | undefined => times.next("shop/api", service, pods);
  assert.equal(next(), "2026-01-01T00:00:00Z");
  assert.equal(next(), undefined);
  assert.equal(
    next(pod("a", "2026-01-01T00:00:07Z"), pod("b", "2026-01-01T00:00:05Z")),
    "2026-01-01T00:00:05Z",
  );
  assert.equal(next(pod("a", "2026-01-01T00:00:07Z"), pod("b", "2026-01-01T00:00:05Z")), undefined);
  assert.equal(
    next(pod("a", "2026-01-01T00:00:09Z"), pod("b", "2026-01-01T00:00:05Z")),
    "2026-01-01T00:00:09Z",
  );
  assert.equal(next(pod("c", undefined)), undefined);
});

test("a Service that was forgotten is new", () => {
  const times = createTriggerTimes();
  times.next("shop/api", service, []);
  times.forget("shop/api");
  assert.equal(times.next("shop/api", service, []), "2026-01-01T00:00:00Z");
});
