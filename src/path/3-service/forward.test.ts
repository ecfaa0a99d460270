import assert from "node:assert/strict";
import { test } from "node:test";
import { silentLog } from "#lib/log";
import type { DnsQuery } from "#serve/dns";
import { decodeMessage, encodeMessage, rcodes, type Message, type ResourceRecord } from "#wire/dns";
import { createForwarding, type Forward } from "./forward.ts";

function queryFor(name: string, changes: Partial<Message> = {}): DnsQuery {
  const question = { name, type: "A", class: 1 };
  const message: Message = {
    id: 5,
    response: false,
    opcode: 0,
    authoritative: false,
    truncated: false,
    recursionDesired: true,
    recursionAvailable: false,
    authenticData: false,
    checkingDisabled: false,
    rcode: 0,
    questions: [question],
    answers: [],
    authorities: [],
    additionals: [],
    ...changes,
  };
  return { question, message, bytes: encodeMessage(message) };
}

/** An upstream that says the same to every query, and counts them. */
function saying(changes: Partial<Message>): Forward & { count: number } {
  const forward = Object.assign(
    (async (bytes) => {
      forward.count += 1;
      return encodeMessage({ ...decodeMessage(bytes), response: true, ...changes });
    }) satisfies Forward as Forward,
    { count: 0 },
  );
  return forward;
}

const address = (ttl: number): ResourceRecord => ({ name: "x.", ttl, type: "A", address: "192.0.2.1" });
const soa = (ttl: number, minimum: number): ResourceRecord => ({
  name: ".",
  ttl,
  type: "SOA",
  primary: "a.",
  mailbox: "b.",
  serial: 1,
  refresh: 1,
  retry: 1,
  expire: 1,
  minimum,
});

for (const [what, response, keptSeconds] of [
  ["addresses, for their lowest TTL", { answers: [address(9), address(7)] }, 7],
  ["addresses, for 30 s at most", { answers: [address(86400)] }, 30],
  ["a denial, for its SOA's minimum", { rcode: rcodes.NXDOMAIN, authorities: [soa(60, 4)] }, 4],
  ["a denial, for its SOA's TTL", { authorities: [soa(3, 60)] }, 3],
  ["a denial without SOA, not at all", { rcode: rcodes.NXDOMAIN }, 0],
  ["a failure, not at all", { rcode: rcodes.SERVFAIL, authorities: [soa(60, 60)] }, 0],
  ["a cut answer, not at all", { truncated: true, answers: [address(60)] }, 0],
  ["an address with TTL 0, not at all", { answers: [address(0)] }, 0],
  ["what is larger than 8 KiB, not at all", { answers: Array.from({ length: 600 }, () => address(60)) }, 0],
] as const satisfies readonly (readonly [string, Partial<Message>, number])[]) {
  test(`keeps ${what}`, async () => {
    let now = 0;
    const forward = saying(response);
    const forwarding = createForwarding({ forward, log: silentLog, now: () => now });
    const askAt = async (seconds: number): Promise<number> => {
      now = seconds * 1000;
      await forwarding.answer(queryFor("x."), "udp");
      return forward.count;
    };
    assert.equal(await askAt(0), 1);
    if (keptSeconds > 0) assert.equal(await askAt(keptSeconds - 0.001), 1);
    assert.equal(await askAt(keptSeconds), 2);
  });
}

test("answers with and without DNSSEC records are kept apart", async () => {
  const forward = saying({ answers: [address(60)] });
  const forwarding = createForwarding({ forward, log: silentLog, now: () => 0 });
  await forwarding.answer(queryFor("x."), "udp");
  await forwarding.answer(queryFor("x.", { edns: { udpSize: 1232, version: 0, dnssecOk: true } }), "udp");
  await forwarding.answer(queryFor("X."), "udp");
  assert.equal(forward.count, 2);
});

test("the oldest answers go when there are too many", async () => {
  const forward = saying({ answers: [address(60)] });
  const forwarding = createForwarding({ forward, log: silentLog, now: () => 0, maxEntries: 2 });
  for (const name of ["a.", "b.", "c.", "c.", "b."]) await forwarding.answer(queryFor(name), "udp");
  assert.equal(forward.count, 3);
  await forwarding.answer(queryFor("a."), "udp");
  assert.equal(forward.count, 4);
});

test("beyond the limit of queries under way the answer is REFUSED, until one is done", async () => {
  const gate = Promise.withResolvers<void>();
  const say = saying({ answers: [address(0)] });
  const forward: Forward = (bytes, transport) => gate.promise.then(() => say(bytes, transport));
  const forwarding = createForwarding({ forward, log: silentLog, now: () => 0, maxConcurrent: 2 });
  const first = [forwarding.answer(queryFor("a."), "udp"), forwarding.answer(queryFor("b."), "udp")];
  assert.deepEqual(await forwarding.answer(queryFor("c."), "udp"), { rcode: rcodes.REFUSED });
  gate.resolve();
  await Promise.all(first);
  assert.ok((await forwarding.answer(queryFor("c."), "udp")) instanceof Uint8Array);
});

test("an upstream that fails is reported once, and so is its return", async () => {
  const lines: string[] = [];
  const note = (line: string): void => void lines.push(line);
  const log = { info: note, warn: note, error: note, child: () => log };
  let broken = true;
  const say = saying({ answers: [address(0)] });
  const forward: Forward = (bytes, transport) =>
    broken ? Promise.reject(new Error("gone")) : say(bytes, transport);
  const forwarding = createForwarding({ forward, log, now: () => 0 });
  for (const state of [true, true, false, false]) {
    broken = state;
    await forwarding.answer(queryFor("a."), "udp");
  }
  assert.deepEqual(lines, ["upstream resolver does not answer", "upstream resolver answers again"]);
});
