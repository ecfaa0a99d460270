/** What does not depend on the overlay: start-up, marks, pods and nodes that come and go. */
import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { homeNetNs, nft, run, setSysctls } from "#kernel";
import { leftByMark, observeFlow, observeRoute, podLink } from "#path/node";
import { empty, hear, identity, startNodeWorld, whoAmI, type NodeWorld } from "./node-fixture.ts";

let world: NodeWorld;
before(async () => {
  world = await startNodeWorld("vxlan", ["IPv4"]);
});
after(() => world.close());

test("two nodes and six pods are up well under a second", (t) => {
  t.diagnostic(`brought up in ${world.startMs.toFixed(0)} ms`);
  assert.ok(world.startMs < 1000, `${world.startMs} ms`);
});

test("without IPv6 no device has an address of it", async () => {
  for (const ns of [world.node("node-a").ns, world.pod("a1").ns]) {
    const { stdout } = await run(ns, "ip", ["-6", "-o", "address"]);
    assert.deepEqual(
      stdout.split("\n").filter((line) => line !== "" && !line.includes(" lo ")),
      [],
    );
  }
});

test("other bits of the mark stay as they are", async (t) => {
  const nodeA = world.node("node-a").ns;
  const server = whoAmI(world.pod("a2").ns, "0.0.0.0", 8083);
  t.after(() => server.close());
  const rule = "add rule ip other c ct state new ct mark set 0x4001";
  await nft(nodeA, `table ip other { chain c { type filter hook prerouting priority mangle; }; }\n${rule}`);
  t.after(() => nft(nodeA, "delete table ip other"));
  await hear(world.pod("a1").ns, world.pod("a2").address, 8083, 40556);
  const [seen] = await observeFlow(nodeA, { protocol: "tcp", sourcePort: 40556 });
  assert.equal(seen?.entry.mark, 0x4001 | leftByMark.pod);
});

test("no bridge filter is needed: it works with bridge-nf-call-iptables off", async (t) => {
  try {
    setSysctls(homeNetNs(), { "net/bridge/bridge-nf-call-iptables": "0" });
  } catch {
    t.diagnostic("the kernel has no br_netfilter, so it is off anyway");
  }
  const server = whoAmI(world.pod("b3").ns, "0.0.0.0", 8084);
  t.after(() => server.close());
  assert.equal(await hear(world.pod("a3").ns, world.pod("b3").address, 8084), world.pod("a3").address);
});

test("a removed pod is gone from the node, its address rests, and create is idempotent", async () => {
  const { sandboxes, ns } = world.node("node-b");
  const short = { namespace: "default", name: "short", uid: "uid-short" };
  const first = await sandboxes.create(short);
  assert.equal(await sandboxes.create(short), first);
  assert.equal(first.address, "10.244.1.5");
  await sandboxes.remove(short);
  await sandboxes.remove(short);
  const links = (await run(ns, "ip", ["-o", "link"])).stdout;
  assert.ok(!links.includes(podLink(short, first.addresses).device));
  const second = await sandboxes.create({ ...short, uid: "uid-2" });
  assert.equal(second.address, "10.244.1.6");
  await sandboxes.remove({ ...short, uid: "uid-2" });
});

test("a node that joins is reached by pods of the others; one that leaves is gone without a trace", async (t) => {
  const { network, source } = world;
  await network.add(identity("node-c", 2, ["IPv4"]));
  await assert.rejects(network.add(identity("node-c", 2, ["IPv4"])), { code: "NodeExists" });
  source.set({ ...empty, nodes: world.models() });
  await network.settled();
  const pod = { namespace: "default", name: "c1", uid: "uid-c1" };
  const { sandboxes } = world.node("node-c");
  const c1 = await sandboxes.create(pod);
  const server = whoAmI(c1.ns, "0.0.0.0", 8085);
  t.after(() => server.close());
  assert.equal(await hear(world.pod("a1").ns, c1.address, 8085), world.pod("a1").address);

  await sandboxes.remove(pod);
  await network.remove("node-c");
  await network.remove("node-c");
  source.set({ ...empty, nodes: world.models() });
  await network.settled();
  await assert.rejects(observeRoute(world.node("node-a").ns, c1.address), { code: "Unreachable" });
  const { stdout } = await run(homeNetNs(), "ip", ["route"]);
  assert.ok(!stdout.includes("10.244.2.0/24"), stdout);
  const others = whoAmI(world.pod("b1").ns, "0.0.0.0", 8086);
  t.after(() => others.close());
  assert.equal(await hear(world.pod("a1").ns, world.pod("b1").address, 8086), world.pod("a1").address);
});
