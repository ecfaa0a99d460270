/** The contract, kept by what `explain()` says and by the nftables rules in memory. */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { familyOf } from "#lib/ip";
import { ADDRESSES, contract } from "./contract.ts";
import type { ContractCase, Expected, Probe } from "./contract.ts";
import { explain } from "./explain.ts";
import { nftablesBackend } from "./nftables/backend.ts";
import { fakeKernel } from "./nftables/fake-kernel.ts";
import { planProxy } from "./plan.ts";
import type { ProxyMode } from "./plan.ts";
import { testSnapshot } from "./testing.ts";

const titleOf = ({ from, to, protocol = "TCP" }: Probe): string => `${from} to ${to.join(" ")} ${protocol}`;
const sourceOf = ({ from, to }: Probe): string => ADDRESSES[from][familyOf(to[0])];

/** `10.244.0.2:8080`, sorted. */
function endpointsOf(expected: Expected, to: string): readonly string[] {
  if (typeof expected === "string") return [];
  return expected.map((name) => `${ADDRESSES[name][familyOf(to)]}:8080`).sort();
}

function checkExplanation(one: ContractCase, probe: Probe, mode: ProxyMode): void {
  const { from, to, protocol = "TCP" } = probe;
  const expected = (mode === "nftables" ? undefined : probe.unless?.[mode]) ?? probe.expect;
  const flow = {
    protocol,
    source: { address: sourceOf(probe), port: 40_000 },
    destination: { address: to[0], port: to[1] },
  };
  const place = from === "node" ? "node" : from.startsWith("pod") ? "pod" : "outside";
  const snapshot = testSnapshot(...one.services);
  const { outcome } = explain(snapshot, { at: "proxy", node: "node-a", from: place }, flow, {
    mode,
    ...one.options,
  });
  if (expected === "reject") return assert.equal(outcome.kind, "rejected");
  if (expected === "drop") return assert.equal(outcome.kind, "dropped");
  assert.ok(outcome.kind === "next", JSON.stringify(outcome));
  if (expected === "pass")
    return assert.deepEqual(
      outcome.alternatives.map((a) => a.flow),
      [flow],
    );
  const found = outcome.alternatives.map(
    ({ flow: { destination } }) => `${destination.address}:${destination.port}`,
  );
  assert.deepEqual(found.sort(), endpointsOf(expected, to[0]));
  for (const { flow: sent } of outcome.alternatives) {
    const hairpin = sent.destination.address === flow.source.address;
    assert.equal(sent.source.port === undefined, probe.masqueraded === true || hairpin);
  }
}

async function checkRules(one: ContractCase, probe: Probe): Promise<void> {
  const { to, protocol = "TCP", expect: expected } = probe;
  const family = familyOf(to[0]);
  const plan = planProxy(testSnapshot(...one.services), "node-a", new Map(), one.options);
  const kernel = fakeKernel();
  await nftablesBackend(kernel).sync(plan);
  const sent = { source: sourceOf(probe), destination: to[0], port: to[1], protocol };
  const own = [ADDRESSES.node[family]];
  if (typeof expected === "string") {
    const fate = kernel.send(sent, own);
    const verdict = expected === "pass" ? "accept" : expected;
    return assert.deepEqual(fate, { verdict, masqueraded: false });
  }
  const fates = expected.map(() => kernel.send(sent, own));
  const met = fates.map(({ endpoint }) => endpoint ?? "nobody");
  assert.deepEqual(met.sort(), endpointsOf(expected, to[0]));
  for (const { endpoint, masqueraded } of fates) {
    const hairpin = endpoint === `${sent.source}:8080`;
    assert.equal(masqueraded, probe.masqueraded === true || hairpin);
  }
}

for (const one of contract) {
  describe(one.name, () => {
    for (const probe of one.probes) {
      test(`${titleOf(probe)}: explained`, () => {
        checkExplanation(one, probe, "nftables");
        checkExplanation(one, probe, "iptables");
        checkExplanation(one, probe, "ipvs");
        checkExplanation(one, probe, "userspace");
      });
      test(`${titleOf(probe)}: nftables rules in memory`, () => checkRules(one, probe));
    }
  });
}
