/** The contract of Service rules, kept by connections over the loopback device. */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { LoopbackPlace } from "#kernel";
import { familyOf } from "#lib/ip";
import { ADDRESSES, contract } from "../contract.ts";
import type { ContractCase, Expected, Probe } from "../contract.ts";
import { ask, datagramClient, lab } from "../../../../test/support/userspace-lab.ts";
import type { Lab } from "../../../../test/support/userspace-lab.ts";

/** Milliseconds of silence that are taken for a dropped packet. */
const SILENCE = 200;

/** There is no IPv6 and no SCTP here, and the stranger's address has no image. */
function canBeSent({ from, to, protocol }: Probe): boolean {
  return from !== "stranger" && familyOf(to[0]) === "IPv4" && protocol !== "SCTP";
}

function placeOf(at: Lab, who: Probe["from"]): LoopbackPlace {
  return who === "node" || who === "client" ? at[who] : at.pod(who);
}

async function check(t: TestContext, at: Lab, probe: Probe): Promise<void> {
  const { from, to, protocol, expect, masqueraded = false } = probe;
  const place = placeOf(at, from);
  const send = (patience?: number): Promise<string> =>
    protocol === "UDP" ? datagramClient(t, place)(...to, patience) : ask(place, ...to, patience);
  const title = `${from} to ${to.join(" ")} ${protocol ?? "TCP"}`;
  const expected = probe.unless?.userspace ?? expect;
  if (typeof expected === "string") return refuses(expected, await send(SILENCE), `${title} ${protocol}`);
  const source = ADDRESSES[from].IPv4;
  const met = new Map<string, boolean>();
  for (const _ of expected) {
    const [name = "", seen = ""] = (await send()).split(" ");
    met.set(name, seen !== source);
  }
  assert.deepEqual([...met.keys()].sort(), [...expected].sort(), title);
  // The node's own address does not tell whether it was put in place of itself.
  if (from === "node") return;
  for (const [name, rewritten] of met) assert.equal(rewritten, masqueraded || name === from, title);
}

/** Where only some are refused the kernel has accepted already; and who sends a datagram hears of no refusal. */
function refuses(expected: Exclude<Expected, readonly unknown[]>, answer: string, title: string): void {
  if (title.endsWith("UDP")) return assert.equal(answer, "silence", title);
  if (expected === "reject") return assert.match(answer, /^ECONN(REFUSED|RESET)$/, title);
  if (expected === "drop") return assert.equal(answer, "silence", title);
  assert.doesNotMatch(answer, /^pod/, title);
}

/** Node ports are always open at the node's one address. */
function canBeStarted({ options }: ContractCase): boolean {
  return options?.nodePortAddresses === undefined;
}

for (const one of contract.filter(canBeStarted)) {
  const probes = one.probes.filter(canBeSent);
  if (probes.length === 0) continue;
  test(one.name, async (t) => {
    const at = await lab(t, one.services, one.options);
    for (const probe of probes) await check(t, at, probe);
  });
}
