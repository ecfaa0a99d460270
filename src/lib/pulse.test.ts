import assert from "node:assert/strict";
import { test } from "node:test";
import { manualClock } from "./clock-testing.ts";
import { startPulse } from "./pulse.ts";

const a = "172.30.0.11";
const b = "172.30.0.12";

/** A pulse of two nodes that answer after a time, while they are alive. */
function world(answerMs = 1) {
  const clock = manualClock();
  const alive = new Set([a, b]);
  const changes: string[] = [];
  let sent = 0;
  const pulse = startPulse({
    send(address) {
      sent += 1;
      if (alive.has(address)) clock.after(answerMs, () => pulse.heard(address));
    },
    onChange: () => changes.push([a, b].filter(pulse.isSilent).join()),
    misses: 4,
    clock,
  });
  pulse.watch([a, b]);
  return { clock, alive, changes, pulse, sent: () => sent };
}

test("a node that falls silent is found out four to five intervals later, whenever it does", () => {
  for (let at = 0; at < 40; at += 3) {
    const { clock, alive, changes } = world();
    clock.advance(200 + at);
    alive.delete(a);
    clock.advance(150);
    assert.deepEqual(changes, []);
    clock.advance(50);
    assert.deepEqual(changes, [a]);
  }
});

test("one answer is enough to be heard again", () => {
  const { clock, alive, changes, pulse } = world();
  clock.advance(100);
  alive.delete(a);
  clock.advance(1000);
  alive.add(a);
  clock.advance(41);
  assert.deepEqual(changes, [a, ""]);
  assert.equal(pulse.isSilent(a), false);
});

test("a node that never answered is not taken for silent: it may never do", () => {
  const { clock, alive, changes } = world();
  alive.delete(b);
  clock.advance(1000);
  assert.deepEqual(changes, []);
});

test("a node far away answers late and is not silent", () => {
  const { clock, changes } = world(500);
  clock.advance(3000);
  assert.deepEqual(changes, []);
});

test("three lost answers in a row are forgiven", () => {
  const { clock, alive, changes } = world();
  clock.advance(122);
  alive.delete(a);
  clock.advance(120);
  alive.add(a);
  clock.advance(1000);
  assert.deepEqual(changes, []);
});

test("a thread that was held up does not take anybody for silent", () => {
  const { clock, changes } = world();
  clock.advance(100);
  clock.stall(5000);
  clock.advance(1000);
  assert.deepEqual(changes, []);
});

test("who is not watched is not asked, and who is watched anew has to answer first", () => {
  const { clock, alive, changes, pulse, sent } = world();
  clock.advance(100);
  pulse.watch([]);
  const before = sent();
  clock.advance(400);
  assert.equal(sent(), before);
  alive.clear();
  pulse.watch([a]);
  clock.advance(1000);
  assert.deepEqual(changes, []);
  pulse.close();
  const atClose = sent();
  clock.advance(400);
  assert.equal(sent(), atClose);
});
