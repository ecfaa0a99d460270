import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { test } from "node:test";
import { manualClock, type ManualClock } from "#lib/clock-testing";
import { createHealthChecker, type HealthChecker } from "./health.ts";
import type { HealthTarget } from "./plan.ts";

/** What a node does when it is asked. */
type Behaviour = { answer: string } | { error: string } | "silent" | "close";

class FakeSocket extends EventEmitter {
  destroyed = false;
  sent = "";
  write(text: string): boolean {
    this.sent += text;
    return true;
  }
  destroy(): void {
    this.destroyed = true;
  }
}

const target: HealthTarget = { node: "a", address: "172.30.0.11", port: 32001 };

interface Bench {
  readonly checker: HealthChecker;
  readonly clock: ManualClock;
  readonly sockets: FakeSocket[];
  readonly changes: string[];
  readonly behave: (next: Behaviour) => void;
  readonly state: () => string;
}

function bench(): Bench {
  const clock = manualClock();
  const sockets: FakeSocket[] = [];
  const changes: string[] = [];
  let behaviour: Behaviour = "silent";
  const dial = (): Socket => {
    const socket = new FakeSocket();
    sockets.push(socket);
    const now = behaviour;
    clock.after(1, () => {
      if (socket.destroyed || now === "silent") return;
      if (now === "close") socket.emit("close");
      else if ("error" in now) socket.emit("error", Object.assign(new Error(now.error), { code: now.error }));
      else socket.emit("data", Buffer.from(now.answer));
    });
    return socket as unknown as Socket;
  };
  const checker = createHealthChecker({ dial, clock, onChange: () => changes.push(state()) });
  const state = (): string => {
    const health = checker.healthOf(target);
    return "reason" in health ? `${health.state}: ${health.reason}` : health.state;
  };
  return { checker, clock, sockets, changes, state, behave: (next) => (behaviour = next) };
}

const good: Behaviour = { answer: "HTTP/1.1 200 OK\r\n\r\n" };

for (const [what, behaviour, expected] of [
  ["200", good, "healthy"],
  ["HTTP/1.0", { answer: "HTTP/1.0 200 OK\r\n" }, "healthy"],
  ["503", { answer: "HTTP/1.1 503 Service Unavailable\r\n" }, "unhealthy: answers 503"],
  ["something else", { answer: "SSH-2.0-OpenSSH\r\n" }, "unhealthy: does not answer in HTTP"],
  ["endless bytes", { answer: "x".repeat(5000) }, "unhealthy: does not answer in HTTP"],
  ["nothing, and hangs up", "close", "unhealthy: closed without an answer"],
  ["a refusal", { error: "ECONNREFUSED" }, "unhealthy: ECONNREFUSED"],
  ["no route", { error: "EHOSTUNREACH" }, "gone: EHOSTUNREACH"],
  ["silence", "silent", "gone: no answer within 300 ms"],
] as const satisfies readonly (readonly [string, Behaviour, string])[]) {
  test(`a node that answers ${what} is ${expected}`, () => {
    const { checker, clock, behave, state, sockets } = bench();
    behave(behaviour);
    checker.watch([target]);
    assert.equal(state(), "unknown");
    clock.advance(300);
    assert.equal(state(), expected);
    assert.match(sockets[0]?.sent ?? "", /^GET \/healthz HTTP\/1\.1\r\nHost: 172\.30\.0\.11:32001\r\n/);
    assert.equal(sockets[0]?.destroyed, true);
    checker.close();
  });
}

test("one failure is forgiven, two are not, and one success heals", () => {
  const { checker, clock, behave, changes } = bench();
  behave(good);
  checker.watch([target]);
  clock.advance(100);
  behave({ answer: "HTTP/1.1 503 no\r\n" });
  clock.advance(200);
  behave(good);
  clock.advance(200);
  assert.deepEqual(changes, ["healthy"]);
  behave({ answer: "HTTP/1.1 503 no\r\n" });
  clock.advance(400);
  assert.deepEqual(changes, ["healthy", "unhealthy: answers 503"]);
  behave(good);
  clock.advance(200);
  assert.deepEqual(changes, ["healthy", "unhealthy: answers 503", "healthy"]);
});

test("a node that falls silent is out within a second, whenever it does", () => {
  for (let quietAt = 0; quietAt < 200; quietAt += 7) {
    const { checker, clock, behave, state } = bench();
    behave(good);
    checker.watch([target]);
    clock.advance(200 + quietAt);
    behave("silent");
    clock.advance(850);
    assert.equal(state(), "gone: no answer within 300 ms");
  }
});

test("a target is asked every 200 ms, never twice at one time", () => {
  const { checker, clock, behave, sockets } = bench();
  behave(good);
  checker.watch([target]);
  clock.advance(1000);
  assert.equal(sockets.length, 6);
  behave("silent");
  clock.advance(1200);
  assert.equal(sockets.filter((socket) => !socket.destroyed).length, 1);
});

test("targets that are no longer watched are left alone, others keep their health", () => {
  const { checker, clock, behave, sockets, state } = bench();
  behave(good);
  checker.watch([target, { ...target, node: "b" }]);
  clock.advance(100);
  checker.watch([target]);
  assert.equal(state(), "healthy");
  assert.deepEqual(checker.healthOf({ ...target, node: "b" }), { state: "unknown" });
  checker.watch([]);
  const before = sockets.length;
  clock.advance(1000);
  assert.equal(sockets.length, before);
});

test("a checker that is held up itself does not take its nodes for dead", () => {
  const { checker, clock, sockets, state } = bench();
  checker.watch([target]);
  clock.stall(2000);
  clock.advance(200);
  assert.equal(state(), "unknown");
  sockets[0]?.emit("data", Buffer.from("HTTP/1.1 200 OK\r\n"));
  assert.equal(state(), "healthy");
  checker.close();
});
