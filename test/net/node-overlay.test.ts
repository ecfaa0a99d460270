/** What both overlays promise in both address families, with packets. */
import { after, before, describe, test } from "node:test";
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { homeNetNs, run, tcpConnect, tcpListener } from "#kernel";
import type { IpFamily, Overlay } from "#model";
import { explain, observeFlow, observeRoute } from "#path/node";
import { startCapture } from "./node-capture.ts";
import { empty, hear, startNodeWorld, whoAmI, type NodeWorld } from "./node-fixture.ts";

/** Where the overlays differ: how a packet crosses, and what is left of the underlay's MTU. */
const differences = {
  vxlan: { leftBy: "overlay", device: "flannel.1", action: "encapsulate", mtu: 1450, encapsulated: true },
  "host-gw": { leftBy: "underlay", device: "eth0", action: "route", mtu: 1500, encapsulated: false },
} as const;

/** Addresses of both families: of the home namespace, of node-a, of node-a as pods of node-b see it, of nobody. */
const familyFacts = {
  IPv4: {
    home: "172.30.0.1",
    nodeA: "172.30.0.11",
    tunnelA: "10.244.0.0",
    b: "10.244.1.",
    nobody: ["10.244.0.99", "10.244.1.99", "10.244.77.1"],
    unreachable: /EHOSTUNREACH/,
  },
  IPv6: {
    home: "fd00:172:30::1",
    nodeA: "fd00:172:30::11",
    tunnelA: "fd00:172:30::11",
    b: "fd00:10:244:1::",
    nobody: ["fd00:10:244::99", "fd00:10:244:1::99", "fd00:10:244:77::1"],
    unreachable: /ENETUNREACH/,
  },
} as const;

for (const overlay of ["vxlan", "host-gw"] satisfies Overlay[]) {
  describe(`overlay ${overlay}`, () => {
    const expected = differences[overlay];
    let world: NodeWorld;
    before(async () => {
      world = await startNodeWorld(overlay, ["IPv4", "IPv6"]);
    });
    after(() => world.close());
    const ns = (pod: string) => world.pod(pod).ns;

    test("pods have an address of each family, at the same place of their node's networks", () => {
      assert.deepEqual(
        world
          .pods()
          .map(({ addresses }) => addresses.join(" "))
          .sort(),
        [0, 1]
          .flatMap((n) =>
            [2, 3, 4].map((place) => `10.244.${n}.${place} fd00:10:244:${n === 0 ? "" : n}::${place}`),
          )
          .map((line) => line.replace(":244:::", ":244::")),
      );
    });

    test(`the MTU of pods is ${expected.mtu}`, async () => {
      const { stdout } = await run(ns("a1"), "ip", ["-j", "link", "show", "dev", "eth0"]);
      assert.equal((JSON.parse(stdout) as { mtu: number }[])[0]?.mtu, expected.mtu);
    });

    test("what a node knows of another one comes and goes with its Node object", async () => {
      const nodeA = world.node("node-a").ns;
      const onlyA = new Map([...world.models()].filter(([name]) => name === "node-a"));
      world.source.set({ ...empty, nodes: onlyA });
      await world.network.settled();
      for (const { b } of Object.values(familyFacts))
        await assert.rejects(observeRoute(nodeA, `${b}2`), { code: "Unreachable" });
      world.source.set({ ...empty, nodes: world.models() });
      await world.network.settled();
      for (const { b } of Object.values(familyFacts))
        assert.equal((await observeRoute(nodeA, `${b}2`)).device, expected.device);
    });

    for (const family of ["IPv4", "IPv6"] satisfies IpFamily[]) {
      describe(family, () => {
        const facts = familyFacts[family];
        const any = family === "IPv4" ? "0.0.0.0" : "::";
        const addressOf = (pod: string): string => {
          const found = world.pod(pod).addresses.find((one) => one.includes(":") === (family === "IPv6"));
          assert.ok(found);
          return found;
        };

        test("pods of one node and of two nodes reach each other and see true sources", async (t) => {
          for (const target of ["a2", "b1"]) {
            const server = whoAmI(ns(target), any, 8080);
            t.after(() => server.close());
            assert.equal(await hear(ns("a1"), addressOf(target), 8080), addressOf("a1"));
          }
        });

        test("on the wire, packets to the other node are as the overlay says, those of one node are not there", async (t) => {
          const capture = startCapture(world.node("node-a").ns, "eth0");
          t.after(() => capture.close());
          const crossing = async (target: string, token: string): Promise<string[]> => {
            const server = createServer((socket) => socket.end(token));
            server.listen({ fd: tcpListener(ns(target), any, 8085) });
            assert.equal(await hear(ns("a1"), addressOf(target), 8085), token);
            server.close();
            return capture.frames().flatMap((frame) => (frame.payload.includes(token) ? [frame.text] : []));
          };
          const [seen] = await crossing("b1", "token-of-a-remote-pod");
          const plain = `${addressOf("b1")} > ${addressOf("a1")} tcp`;
          assert.equal(seen, expected.encapsulated ? "172.30.0.12 > 172.30.0.11 udp 8472" : plain);
          assert.deepEqual(await crossing("a2", "token-of-a-local-pod"), []);
        });

        test("full segments cross whole", async () => {
          const bytes = 1_000_000;
          const server = createServer((socket) => socket.end(Buffer.alloc(bytes, "x"))).listen({
            fd: tcpListener(ns("b2"), any, 8081),
          });
          assert.equal((await hear(ns("a2"), addressOf("b2"), 8081)).length, bytes);
          server.close();
        });

        test("conntrack says how a connection left each node, as explained", async (t) => {
          const server = whoAmI(ns("b1"), any, 8082);
          t.after(() => server.close());
          await hear(ns("a1"), addressOf("b1"), 8082, 40555);
          const filter = { protocol: "tcp", source: addressOf("a1"), sourcePort: 40555 } as const;
          const [onA] = await observeFlow(world.node("node-a").ns, filter);
          const [onB] = await observeFlow(world.node("node-b").ns, filter);
          assert.deepEqual([onA?.leftBy, onB?.leftBy], [expected.leftBy, "pod"]);
          const [first, second] = steps(addressOf("a1"), addressOf("b1"));
          assert.deepEqual([first?.action, second?.action], [expected.action, "route"]);
        });

        test("what leaves for the outside carries the node's address, what comes from there keeps its own", async (t) => {
          const nodeA = world.node("node-a").ns;
          const servers = [
            whoAmI(homeNetNs(), any, 9090),
            whoAmI(ns("a1"), any, 9090),
            whoAmI(ns("b1"), any, 9091),
          ];
          t.after(() => servers.forEach((server) => server.close()));
          assert.equal(await hear(ns("a1"), facts.home, 9090), facts.nodeA);
          assert.equal(await hear(homeNetNs(), addressOf("a1"), 9090), facts.home);
          assert.equal(await hear(nodeA, addressOf("a1"), 9090), facts.nodeA);
          const seen = expected.encapsulated ? facts.tunnelA : facts.nodeA;
          assert.equal(await hear(nodeA, addressOf("b1"), 9091), seen);
        });

        // Linux takes the answer up at once over IPv4, at TCP's first repetition (1 s) over IPv6.
        test("an address of the pod network that nobody has is unreachable, here and elsewhere", async () => {
          for (const address of facts.nobody) {
            const socket = tcpConnect(ns("a1"), address, 80);
            const [error] = await once(socket, "connect").catch((cause: unknown) => [cause]);
            assert.match(String(error), facts.unreachable, address);
          }
        });

        test("predicted routes are those of the kernel", async () => {
          const show = family === "IPv4" ? ["-4", "route"] : ["-6", "route"];
          for (const target of ["a2", "b1"]) {
            for (const step of steps(addressOf("a1"), addressOf(target))) {
              const node = step.component.replace("node ", "");
              const routes = (await run(world.node(node).ns, "ip", show)).stdout;
              const line = step.predicted[0] ?? "nothing";
              assert.ok(routes.includes(line), `${line} in\n${routes}`);
            }
          }
        });

        const steps = (from: string, to: string) =>
          explain(
            world.snapshot(),
            { at: "node", node: "node-a" },
            { protocol: "TCP", source: { address: from }, destination: { address: to, port: 80 } },
          ).steps;
      });
    }
  });
}
