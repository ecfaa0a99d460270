/** The contract of Service rules, kept by packets between namespaces, in every mode. */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { familyOf } from "#lib/ip";
import { ADDRESSES, contract } from "../../src/path/4-proxy/contract.ts";
import type { ContractCase, Expected, Probe } from "../../src/path/4-proxy/contract.ts";
import { ask, askUdp, everyMode, lab, labModes } from "./proxy-lab.ts";
import type { Lab, LabMode, LabOptions } from "./proxy-lab.ts";

/** Milliseconds of silence that are taken for a dropped packet. */
const SILENCE = 300;

function optionsOf({ options = {} }: ContractCase): LabOptions {
  const { nodePortAddresses, ...others } = options;
  return nodePortAddresses === undefined ? others : { ...others, nodePortNetworks: nodePortAddresses };
}

async function check(at: Lab, mode: LabMode, probe: Probe): Promise<void> {
  const { from, to, protocol = "TCP", masqueraded = false } = probe;
  const expected = probe.unless?.[labModes[mode].mode as "iptables"] ?? probe.expect;
  const source = ADDRESSES[from][familyOf(to[0])];
  const send = (patience?: number): Promise<string> => {
    const asked = { from: source, ...(patience === undefined ? {} : { patience }) };
    return (protocol === "UDP" ? askUdp : ask)(at.placeOf(from), ...to, asked);
  };
  const title = `${from} to ${to.join(" ")} ${protocol}`;
  if (typeof expected === "string") return refuses(expected, await send(SILENCE), title);
  const met = new Map<string, boolean>();
  for (const _ of expected) {
    const [name = "", seen = ""] = (await send()).split(" ");
    met.set(name, seen !== source);
  }
  assert.deepEqual([...met.keys()].sort(), [...expected].sort(), title);
  for (const [name, rewritten] of met) assert.equal(rewritten, masqueraded || name === from, title);
}

function refuses(expected: Exclude<Expected, readonly unknown[]>, answer: string, title: string): void {
  if (expected === "reject") return assert.equal(answer, "ECONNREFUSED", title);
  if (expected === "drop") return assert.equal(answer, "silence", title);
  // What becomes of it elsewhere is not the rules' business, but no pod answers.
  assert.doesNotMatch(answer, /^pod/, title);
}

for (const mode of everyMode) {
  describe(`Service rules by ${mode}`, () => {
    for (const one of contract) {
      test(one.name, async (t) => {
        const at = await lab(t, mode, one.services, optionsOf(one));
        for (const probe of one.probes) if (probe.protocol !== "SCTP") await check(at, mode, probe);
      });
    }
  });
}
