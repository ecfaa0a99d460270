import assert from "node:assert/strict";
import { test } from "node:test";
import { silentLog } from "#lib/log";
import { decodeMessage, formatRecord, rcodes } from "#wire/dns";
import { answerBytes, type Answered } from "./dns-answer.ts";
import type { DnsReply } from "./dns-response.ts";
import { createKeptAnswers } from "./dns-kept.ts";
import { queryBytes } from "./dns-testing.ts";

/** A server without sockets that says the same to every query, and counts how often it is asked. */
function server(reply: Partial<DnsReply>) {
  const kept = createKeptAnswers();
  const asked: string[] = [];
  const answered: Answered[] = [];
  const ask = (query: Uint8Array, transport: "udp" | "tcp" = "udp") => {
    const peer = { address: "192.0.2.1", port: 1, transport };
    const handler = ({ question: { name } }: { readonly question: { readonly name: string } }): DnsReply => {
      asked.push(name);
      return { rcode: 0, answers: [{ name, ttl: 5, type: "A", address: "10.96.0.1" }], ...reply };
    };
    const bytes = answerBytes(query, peer, {
      handler,
      log: silentLog,
      kept,
      onAnswer: (one) => answered.push(one),
    });
    assert.ok(bytes instanceof Uint8Array);
    return decodeMessage(bytes);
  };
  return { ask, asked, answered, kept };
}

test("a lasting answer is given again to the same question, with the id of each query", () => {
  const { ask, asked } = server({ lasting: true });
  const [first, second] = [ask(queryBytes("a.", 1)), ask(queryBytes("a.", 2))];
  assert.deepEqual([first.id, second.id], [1, 2]);
  assert.deepEqual({ ...first, id: 2 }, second);
  assert.deepEqual(second.answers.map(formatRecord), ["a. 5 IN A 10.96.0.1"]);
  assert.deepEqual(asked, ["a."]);
});

test("another letter case, flag or EDNS size is another question", () => {
  const { ask, asked } = server({ lasting: true });
  const edns = { udpSize: 1232, version: 0, dnssecOk: false };
  ask(queryBytes("a.", 1));
  assert.equal(ask(queryBytes("A.", 1)).questions[0]?.name, "A.");
  assert.equal(ask(queryBytes("a.", 1, { recursionDesired: false })).recursionDesired, false);
  assert.deepEqual(ask(queryBytes("a.", 1, { edns })).edns, edns);
  assert.equal(asked.length, 4);
});

test("an answer that does not last, or that goes by TCP, is made anew", () => {
  for (const [reply, transport] of [
    [{}, "udp"],
    [{ lasting: true }, "tcp"],
  ] as const) {
    const { ask, asked } = server(reply);
    ask(queryBytes("a.", 1), transport);
    ask(queryBytes("a.", 2), transport);
    assert.equal(asked.length, 2);
  }
});

test("after a change nothing is given again", () => {
  const { ask, asked, kept } = server({ lasting: true, rcode: rcodes.NXDOMAIN });
  ask(queryBytes("a.", 1));
  kept.drop();
  ask(queryBytes("a.", 2));
  assert.equal(asked.length, 2);
});

test("whoever hears of answers hears of repeated ones too", () => {
  const { ask, answered } = server({ lasting: true });
  for (let id = 1; id <= 3; id++) ask(queryBytes("a.", id));
  assert.deepEqual(
    answered.map(({ asked, reply }) => [decodeMessage(reply).id, asked?.question.name]),
    [
      [1, "a."],
      [2, "a."],
      [3, "a."],
    ],
  );
});

test("a query that is longer than any name needs is not kept", () => {
  const kept = createKeptAnswers();
  const asked = { question: { name: "a.", type: "A", class: 1 }, edns: undefined };
  const padded = Buffer.concat([queryBytes("a.", 1), Buffer.alloc(400)]);
  kept.keep(padded, { reply: Uint8Array.of(1), asked });
  assert.equal(kept.find(padded), undefined);
});

test("a full store takes nothing in until it is old, and starts anew then", () => {
  let now = 0;
  const kept = createKeptAnswers(2, () => now);
  const answer = {
    reply: Uint8Array.of(1),
    asked: { question: { name: "a.", type: "A", class: 1 }, edns: undefined },
  };
  const has = (...names: string[]): boolean[] =>
    names.map((name) => kept.find(queryBytes(name, 9)) !== undefined);
  for (const name of ["a.", "b.", "c."]) kept.keep(queryBytes(name, 1), answer);
  assert.deepEqual(has("a.", "b.", "c."), [true, true, false]);
  now = 10_000;
  kept.keep(queryBytes("c.", 1), answer);
  assert.deepEqual(has("a.", "b.", "c."), [false, false, true]);
});
