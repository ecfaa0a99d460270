/** The same lines by netlink and by the programs must leave the same network behind. */
import { test } from "node:test";
import type { TestContext } from "node:test";
import assert from "node:assert/strict";
import { bridgeBatch, closeNetNs, createNetNs, ipBatch, run } from "#kernel";
import type { NetNs } from "#kernel";
import { encodeLine } from "../../src/kernel/ip-lines.ts";
import { runBatch } from "../../src/kernel/network.ts";

const lines = (peer: NetNs): string[] => [
  "link set lo up",
  "link add br0 mtu 1400 type bridge",
  `link add v0 mtu 1400 address 02:00:00:00:00:10 type veth peer name eth0 mtu 1300 address 02:00:00:00:00:11 netns ${peer.path}`,
  "link add v1 type veth peer name v2",
  "link set v0 master br0 up",
  "link set v1 up",
  "link set br0 up",
  "link set v1 down",
  "link set v1 up",
  "address add 10.9.0.1/24 dev br0",
  "address add 10.9.1.1/32 dev v1",
  "link add vx mtu 1350 address 02:00:00:00:00:12 type vxlan id 42 dstport 8472 local 10.9.0.1 dev br0 nolearning",
  "address add 10.8.0.0/32 dev vx",
  "link set vx up",
  "route add default via 10.9.0.2 dev br0",
  "route add 10.20.0.0/16 via 10.9.0.3",
  "route add unreachable 10.30.0.0/16",
  "route replace 10.30.0.0/24 via 10.30.0.0 dev vx onlink",
  "route add 10.40.0.1 dev br0 scope link",
  "route add 10.41.0.0/24 dev br0",
  "route replace default via 10.9.0.3 dev br0 table 101",
  "rule add fwmark 1 lookup 101 priority 1001",
  "neighbour replace 10.9.0.2 lladdr 02:00:00:00:00:20 dev br0 nud permanent",
  "link set v1 mtu 1280",
  "route add 10.42.0.0/24 via 10.9.0.3 dev br0 mtu 1400",
  "address add fd00:9::1/64 dev br0",
  "address add fd00:8::/128 dev vx",
  "neighbour replace fd00:9::2 lladdr 02:00:00:00:00:20 dev br0 nud permanent",
  "route add fe80::1 dev br0",
  "route add default via fe80::1 dev br0",
  "route add fd00:20::/64 via fd00:9::3 dev br0 mtu 1400",
  "route add unreachable fd00:30::/56",
  "route replace fd00:30:0:1::/64 via fd00:30:0:1:: dev vx metric 1024 onlink",
  "route replace fd00:40::2 dev br0 metric 1024",
  "route replace default via fd00:9::3 dev br0 table 101",
  "rule add fwmark 2 lookup 101 priority 1002",
  "rule del fwmark 2 lookup 101 priority 1002",
];
/** The program takes `-6` before a batch only. */
const rules = [
  "-6 rule add fwmark 1 lookup 101 priority 1001",
  "-6 rule add fwmark 2 lookup 101 priority 1002",
  "-6 rule del fwmark 2 lookup 101 priority 1002",
];
const forwarding = ["fdb replace 02:00:00:00:00:21 dev vx dst 10.9.0.7 self permanent"];

function namespace(t: TestContext, name: string): NetNs {
  const ns = createNetNs(name);
  t.after(() => closeNetNs(ns));
  return ns;
}

/** Everything there is, without what is random or counts. */
async function dump(ns: NetNs): Promise<unknown> {
  const shows: readonly (readonly string[])[] = [
    ["ip", "-d", "link"],
    ["ip", "-4", "address"],
    ["ip", "-6", "address", "show", "scope", "global"],
    ["ip", "-d", "-4", "route", "show", "table", "all"],
    ["ip", "-d", "-6", "route", "show"],
    ["ip", "-d", "-6", "route", "show", "table", "101"],
    ["ip", "neighbour", "show", "nud", "permanent"],
    ["ip", "-d", "-4", "rule"],
    ["ip", "-d", "-6", "rule"],
    ["bridge", "fdb", "show", "dev", "vx"],
  ];
  const texts = await Promise.all(
    shows.map(async ([program = "", ...args]) => (await run(ns, program, args)).stdout),
  );
  return texts.map((text) =>
    text
      // The kernel settles carrier and state a moment later.
      .replaceAll(/NO-CARRIER,|,LOWER_UP| state [A-Z]+|(?<=bridge_slave) state [a-z]+| linkdown/g, "")
      .replaceAll(/link-netnsid \d+/g, "link-netnsid")
      .replaceAll(
        /(link\/ether|bridge_id|designated_root|designated_bridge) [\d.a-f:]+/g,
        (whole, what: string) => (whole.includes("02:00:00:00:00:1") ? whole : `${what} X`),
      )
      .replaceAll(
        / +(hello_timer|tcn_timer|gc_timer|topology_change_timer|hold_timer|message_age_timer|forward_delay_timer) +[\d.]+/g,
        "",
      )
      .split("\n"),
  );
}

test("netlink and programs build the same", async (t) => {
  const [direct, program] = [namespace(t, "direct"), namespace(t, "program")];
  const [directPeer, programPeer] = [namespace(t, "direct peer"), namespace(t, "program peer")];
  assert.ok(lines(directPeer).every((line) => encodeLine("ip", line) !== undefined));
  assert.ok(forwarding.every((line) => encodeLine("bridge", line) !== undefined));
  assert.ok(rules.every((line) => encodeLine("ip", line) !== undefined));
  await ipBatch(direct, [...lines(directPeer), ...rules]);
  await bridgeBatch(direct, forwarding);
  await runBatch("ip", program, lines(programPeer));
  for (const line of rules) assert.equal((await run(program, "ip", line.split(" "))).code, 0, line);
  await runBatch("bridge", program, forwarding);
  assert.deepEqual(await dump(direct), await dump(program));
  assert.deepEqual(await dump(directPeer), await dump(programPeer));
});

test("both refuse what is there already, and name the line", async (t) => {
  const ns = namespace(t, "a");
  const twice = ["link add b0 type bridge", "link add b0 type bridge"];
  await assert.rejects(ipBatch(ns, twice), {
    code: "IpFailed",
    message: /^ip link add b0 type bridge: .*file already exists/,
  });
  await assert.rejects(runBatch("ip", ns, twice), {
    code: "IpFailed",
    message: /^ip link add b0 type bridge: .*File exists/,
  });
});

test("lines for netlink and for the program keep their order in one batch", async (t) => {
  const ns = namespace(t, "a");
  await ipBatch(ns, [
    "link add d0 type veth peer name d1",
    "link set d0 up",
    "link set d1 up",
    "address add 10.1.1.1/24 dev d0",
    "rule add fwmark 1 lookup 100",
    "route add 10.2.0.0/16 via 10.1.1.2",
  ]);
  assert.match((await run(ns, "ip", ["route"])).stdout, /10\.2\.0\.0\/16 via 10\.1\.1\.2 dev d0/);
});
