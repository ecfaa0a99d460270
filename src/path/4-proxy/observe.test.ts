import { test } from "node:test";
import assert from "node:assert/strict";
import type { ConntrackEntry } from "#kernel";
import type { Flow } from "#model";
import { chosenEndpoint } from "./observe.ts";

const flow = (port?: number): Flow => ({
  protocol: "TCP",
  source: { address: "10.244.0.9", ...(port === undefined ? {} : { port }) },
  destination: { address: "10.96.0.7", port: 80 },
});

function entry(sourcePort: number, reply: readonly [string, number, string, number]): ConntrackEntry {
  const [source, replyPort, destination, destinationPort] = reply;
  return {
    protocol: "tcp",
    state: "ESTABLISHED",
    mark: 0,
    original: { source: "10.244.0.9", sourcePort, destination: "10.96.0.7", destinationPort: 80 },
    reply: { source, sourcePort: replyPort, destination, destinationPort },
  };
}

const translated = entry(4001, ["10.244.1.5", 8080, "10.244.0.9", 4001]);
const masqueraded = entry(4002, ["10.244.0.9", 8080, "172.30.0.11", 61000]);
const untouched = entry(4003, ["10.96.0.7", 80, "10.244.0.9", 4003]);

test("the reply comes from the endpoint that was chosen", () => {
  const seen = chosenEndpoint([masqueraded, translated], flow(4001));
  assert.deepEqual(seen?.endpoint, { address: "10.244.1.5", port: 8080 });
  assert.equal(seen?.masqueradedTo, undefined);
});

test("a rewritten source is shown", () => {
  const seen = chosenEndpoint([masqueraded, translated], flow(4002));
  assert.deepEqual(seen?.masqueradedTo, { address: "172.30.0.11", port: 61000 });
});

test("without a source port the only entry counts, and of several none", () => {
  assert.ok(chosenEndpoint([translated], flow()) !== undefined);
  assert.equal(chosenEndpoint([translated, masqueraded], flow()), undefined);
});

test("a connection that no rule touched, or another one, tells nothing", () => {
  assert.equal(chosenEndpoint([untouched], flow(4003)), undefined);
  assert.equal(chosenEndpoint([translated], flow(4009)), undefined);
});
