import assert from "node:assert/strict";
import { test } from "node:test";
import { createLog } from "#lib/log";
import { queryFor, type Answered } from "#serve/dns";
import { decodeMessage, encodeMessage, rcodes, withId, type Message, type ResourceRecord } from "#wire/dns";
import { logQuery, type QueryLogClass } from "./query-log.ts";

function answered(name: string, changes: Partial<Message>, address = "10.244.0.5"): Answered {
  const request = withId(queryFor({ name, type: "A" }), 7);
  const message = decodeMessage(request);
  const [question] = message.questions;
  assert.ok(question !== undefined);
  const reply = encodeMessage({ ...message, response: true, authoritative: true, ...changes });
  return {
    asked: { question, edns: message.edns },
    peer: { address, port: 41234, transport: "udp" },
    request,
    reply,
    milliseconds: 0.25,
  };
}

const record: ResourceRecord = { name: "x.example.", ttl: 5, type: "A", address: "192.0.2.1" };
const good = answered("x.example.", { answers: [record] });
const nodata = answered("x.example.", {});
const nxdomain = answered("x.example.", { rcode: rcodes.NXDOMAIN });
const broken = answered("x.example.", { rcode: rcodes.SERVFAIL });

function logged(wanted: QueryLogClass, one: Answered): string[] {
  const lines: string[] = [];
  logQuery(
    createLog("dns", (line) => lines.push(line.replace(/^\S+ dns: /, ""))),
    wanted,
    one,
  );
  return lines;
}

test("a line has CoreDNS' fields in CoreDNS' order", () => {
  assert.deepEqual(logged("all", good), [
    `10.244.0.5:41234 - 7 "A IN x.example. udp 38 false 1232" NOERROR qr,aa,rd ${good.reply.length} 0.000250000s`,
  ]);
  const six = answered("x.example.", { answers: [record] }, "fd00::5");
  assert.match(logged("all", six)[0] ?? "", /^\[fd00::5\]:41234 - /);
});

test("denials and errors can be logged alone", () => {
  const count = (wanted: QueryLogClass): number[] =>
    [good, nodata, nxdomain, broken].map((one) => logged(wanted, one).length);
  assert.deepEqual(count("all"), [1, 1, 1, 1]);
  assert.deepEqual(count("denial"), [0, 1, 1, 0]);
  assert.deepEqual(count("error"), [0, 0, 0, 1]);
});

test("no name can make a line of its own", () => {
  const [line = ""] = logged("all", answered("a\\010b\\032\\034.example.", { answers: [record] }));
  assert.ok(line.includes("a\\010b\\032"));
  assert.ok(!line.includes("\n"));
});
