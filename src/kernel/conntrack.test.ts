import { test } from "node:test";
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { parseConntrack } from "./conntrack.ts";

const tcp =
  "ipv4     2 tcp      6 431999 ESTABLISHED src=10.244.0.2 dst=10.96.1.1 sport=40000 dport=80 " +
  "src=10.244.1.3 dst=10.244.0.2 sport=8080 dport=40000 [ASSURED] mark=256 use=1";

test("a translated TCP connection has both tuples, its state and its mark", () => {
  assert.deepEqual(parseConntrack(tcp), [
    {
      protocol: "tcp",
      state: "ESTABLISHED",
      original: { source: "10.244.0.2", destination: "10.96.1.1", sourcePort: 40000, destinationPort: 80 },
      reply: { source: "10.244.1.3", destination: "10.244.0.2", sourcePort: 8080, destinationPort: 40000 },
      mark: 256,
    },
  ]);
});

test("an unanswered UDP flow of /proc/net/nf_conntrack has no state, and further fields do not matter", () => {
  const line =
    "ipv4     2 udp      17 29 src=10.0.0.1 dst=10.0.0.2 sport=5353 dport=53 [UNREPLIED] " +
    "src=10.0.0.2 dst=10.0.0.1 sport=53 dport=5353 mark=0 zone=0 use=2";
  assert.deepEqual(
    parseConntrack(line).map(({ protocol, state, mark }) => ({ protocol, state, mark })),
    [{ protocol: "udp", state: undefined, mark: 0 }],
  );
});

test("lines of other protocols and broken lines are skipped", () => {
  const icmp =
    "ipv4 2 icmp 1 29 src=10.0.0.1 dst=10.0.0.2 type=8 code=0 id=1 src=10.0.0.2 dst=10.0.0.1 mark=0";
  assert.equal(parseConntrack(`${icmp}\n${tcp}\nipv4 2 tcp 6 src=1\n`).length, 1);
});

test("no text makes the parser throw", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 300 }), (text) => {
      parseConntrack(`ipv4 2 tcp ${text}`);
      parseConntrack(text);
    }),
    { numRuns: 300 },
  );
});
