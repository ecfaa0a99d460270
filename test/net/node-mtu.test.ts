/** A path that silently carries less than its devices promise, as a wrongly configured switch does. */
import { after, before, describe, test } from "node:test";
import assert from "node:assert/strict";
import dgram from "node:dgram";
import { once } from "node:events";
import { getSysctl, homeNetNs, ipBatch, run, setSysctls, udpSocket, type NetNs } from "#kernel";
import type { Overlay } from "#model";
import { mtuText, nodeDevice } from "#path/node";
import { identity, startNodeWorld, type NodeWorld } from "./node-fixture.ts";

const device = 1404;
/** Links and bridges leave room for a VLAN tag (4 bytes). */
const narrow = device + 4;

for (const [overlay, whole, small] of [
  ["vxlan", 1450, narrow - 50],
  ["host-gw", 1500, narrow],
] satisfies [Overlay, number, number][]) {
  describe(`the path MTU with ${overlay}`, () => {
    let world: NodeWorld;
    before(async () => {
      world = await startNodeWorld(overlay, ["IPv4"]);
      // A bridge that filters would cut packets into pieces, which no switch does. Absent where the module is.
      const filter = "net/bridge/bridge-nf-call-iptables";
      if (getSysctl(homeNetNs(), filter) !== undefined) setSysctls(homeNetNs(), { [filter]: "0" });
    });
    after(() => world.close());

    const setPath = (mtu: number) => ipBatch(homeNetNs(), [`link set ${nodeDevice("node-b")} mtu ${mtu}`]);
    const linkMtu = async (ns: NetNs, device: string): Promise<number | undefined> => {
      const { stdout } = await run(ns, "ip", ["-j", "link", "show", "dev", device]);
      return (JSON.parse(stdout) as { mtu: number }[])[0]?.mtu;
    };

    /** Whether datagrams of a size arrive in a pod of the other node. Sent several times: a new link drops its first packets. */
    const arrives = async (bytes: number): Promise<boolean> => {
      const receiver = dgram.createSocket("udp4");
      const sender = dgram.createSocket("udp4");
      receiver.bind({ fd: udpSocket(world.pod("b1").ns, "0.0.0.0", 9999) });
      sender.bind({ fd: udpSocket(world.pod("a1").ns, "0.0.0.0", 0) });
      const send = setInterval(() => sender.send(Buffer.alloc(bytes), 9999, world.pod("b1").address), 50);
      const signal = AbortSignal.timeout(1000);
      const came = await once(receiver, "message", { signal }).then(
        () => true,
        () => false,
      );
      clearInterval(send);
      receiver.close();
      sender.close();
      return came;
    };

    test("while the path carries what it should, nothing changes", async () => {
      await world.network.measurePaths();
      assert.deepEqual(world.node("node-a").mtu(), { pods: whole, underlay: 1500 });
      assert.equal(await arrives(whole - 28), true);
    });

    test("a narrow path loses full packets; then it is found, said, and pods' links are made smaller", async () => {
      await setPath(device);
      assert.equal(await arrives(whole - 28), false);
      await world.network.measurePaths();
      const narrowest = { node: "node-b", mtu: narrow };
      assert.deepEqual(world.node("node-a").mtu(), { pods: small, underlay: 1500, narrowest });
      assert.equal(
        mtuText(world.node("node-a").mtu(), "node-a"),
        `the path from node-a to node-b carries ${narrow} bytes, devices promise 1500: pods have MTU ${small}`,
      );
      for (const pod of ["a1", "b1"]) assert.equal(await linkMtu(world.pod(pod).ns, "eth0"), small);
      assert.equal(await arrives(whole - 28), true);
    });

    test("a pod and a node that come now get the small MTU, too", async () => {
      const pod = { namespace: "default", name: "late", uid: "uid-late" };
      const late = await world.node("node-a").sandboxes.create(pod);
      assert.equal(await linkMtu(late.ns, "eth0"), small);
      await world.node("node-a").sandboxes.remove(pod);
      await world.network.add(identity("node-c", 2, ["IPv4"]));
      world.source.set(world.snapshot());
      await world.network.settled();
      await world.network.measurePaths();
      const { stdout } = await run(world.node("node-b").ns, "ip", ["route", "get", "10.244.2.2"]);
      const seen =
        overlay === "vxlan"
          ? await linkMtu(world.node("node-b").ns, "flannel.1")
          : /mtu (\d+)/.exec(stdout)?.[1];
      assert.equal(Number(seen), small);
      await world.network.remove("node-c");
      world.source.set(world.snapshot());
    });

    test("a path that is whole again gives the MTU back", async () => {
      await setPath(1500);
      await world.network.measurePaths();
      assert.deepEqual(world.node("node-a").mtu(), { pods: whole, underlay: 1500 });
      assert.equal(await linkMtu(world.pod("a1").ns, "eth0"), whole);
      assert.equal(await arrives(whole - 28), true);
    });

    test("a node that does not answer changes nothing", async () => {
      await ipBatch(homeNetNs(), [`link set ${nodeDevice("node-b")} down`]);
      await world.network.measurePaths();
      assert.deepEqual(world.node("node-a").mtu(), { pods: whole, underlay: 1500 });
      await ipBatch(homeNetNs(), [`link set ${nodeDevice("node-b")} up`]);
    });
  });
}
