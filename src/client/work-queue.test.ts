import assert from "node:assert/strict";
import { test } from "node:test";
import { createManualClock } from "./clock.ts";
import { createWorkQueue } from "./work-queue.ts";

function queueOn(clock = createManualClock()) {
  return { clock, queue: createWorkQueue(clock, () => undefined) };
}

test("a key that waits already is not added again", () => {
  const { queue } = queueOn();
  queue.add("a");
  queue.add("b");
  queue.add("a");
  assert.deepEqual([queue.take(), queue.take(), queue.take()], ["a", "b", undefined]);
  assert.equal(queue.metrics().adds, 2);
});

test("a key that is worked on comes back after done, once", () => {
  const { queue } = queueOn();
  queue.add("a");
  queue.take();
  queue.add("a");
  queue.add("a");
  assert.equal(queue.take(), undefined);
  queue.done("a");
  assert.equal(queue.take(), "a");
  queue.done("a");
  assert.equal(queue.take(), undefined);
});

test("a key that fails waits 5 ms, 10 ms, 20 ms ... and starts anew when forgiven", () => {
  const { clock, queue } = queueOn();
  for (const wait of [5, 10, 20]) {
    queue.retry("a");
    clock.advance(wait - 1);
    assert.equal(queue.take(), undefined, `before ${wait} ms`);
    clock.advance(1);
    assert.equal(queue.take(), "a", `after ${wait} ms`);
    queue.done("a");
  }
  queue.forgive("a");
  queue.retry("a");
  clock.advance(5);
  assert.equal(queue.take(), "a");
});

test("no back-off is longer than 30 s", () => {
  const { clock, queue } = queueOn();
  for (let count = 0; count < 40; count += 1) {
    queue.retry("a");
    clock.advance(30_000);
    assert.equal(queue.take(), "a");
    queue.done("a");
  }
});

test("of several delays of a key the shortest counts", () => {
  const { clock, queue } = queueOn();
  queue.addAfter("a", 100);
  queue.addAfter("a", 10);
  queue.addAfter("a", 50);
  clock.advance(10);
  assert.equal(queue.take(), "a");
  assert.equal(clock.pending(), 0);
});

test("a closed queue hands nothing out and leaves no timer", () => {
  const { clock, queue } = queueOn();
  queue.add("a");
  queue.addAfter("b", 10);
  queue.close();
  queue.add("c");
  assert.equal(queue.take(), undefined);
  assert.equal(clock.pending(), 0);
});
