/** The CNI plugin as a container runtime starts it: a file by its name, parameters in the environment, packets afterwards. */
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, watch } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test, type TestContext } from "node:test";
import { closeNetNs, createNetNs, hasLink, ipBatch, run, setSysctls, spawnIn, type NetNs } from "#kernel";
import { hear, whoAmI } from "./node-fixture.ts";

const folder = mkdtempSync(join(tmpdir(), "inroad-cni-"));
const dataDir = join(folder, "data");
const plugin = join(folder, "inroad");
const forwarding = { "net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "1" };
const nodeAddresses = ["192.0.2.1", "2001:db8::1"] as const;
let node: NetNs;

before(async () => {
  symlinkSync(join(import.meta.dirname, "../../bin/inroad.js"), plugin);
  node = createNetNs("node");
  setSysctls(node, forwarding);
  await ipBatch(node, [
    "link set lo up",
    ...nodeAddresses.map(
      (address) => `address add ${address} dev lo${address.includes(":") ? " nodad" : ""}`,
    ),
  ]);
});
after(() => {
  closeNetNs(node);
  rmSync(folder, { recursive: true });
});

const networkOf = (name: string, subnets: readonly string[] = ["10.244.0.0/24", "fd00:10:244::/64"]) => ({
  cniVersion: "1.1.0",
  name,
  type: "inroad",
  ipam: { type: "host-local", ranges: subnets.map((subnet) => [{ subnet }]), dataDir },
});

interface Answer {
  readonly exitStatus: number | null;
  readonly code: number | undefined;
  readonly msg: string | undefined;
  readonly result: {
    readonly interfaces: readonly { name: string; mac: string; mtu: number; sandbox?: string }[];
    readonly ips: readonly { address: string; interface: number }[];
  };
}

/** Starts the plugin once, in the node's namespace. */
function start(
  command: string,
  config: object,
  [containerID = "", ns]: readonly [string?, NetNs?] = [],
): ChildProcess {
  const env = {
    PATH: `${dirname(process.execPath)}:${process.env["PATH"]}`,
    XDG_CACHE_HOME: folder,
    CNI_COMMAND: command,
    CNI_CONTAINERID: containerID,
    CNI_NETNS: ns?.path ?? "",
    CNI_IFNAME: "eth0",
    CNI_PATH: folder,
  };
  const child = spawnIn(node, plugin, [], { env, stdio: ["pipe", "pipe", "inherit"] });
  child.stdin?.end(JSON.stringify(config));
  return child;
}

async function call(...of: Parameters<typeof start>): Promise<Answer> {
  const child = start(...of);
  let output = "";
  child.stdout?.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const [exitStatus] = await once(child, "close");
  const result = output === "" ? {} : JSON.parse(output);
  return { exitStatus, code: result.code, msg: result.msg, result };
}

async function succeeds(...of: Parameters<typeof call>): Promise<Answer["result"]> {
  const { exitStatus, msg, result } = await call(...of);
  assert.equal(exitStatus, 0, `${of[0]}: ${msg}`);
  return result;
}

async function fails(code: number, ...of: Parameters<typeof call>): Promise<string> {
  const answer = await call(...of);
  assert.deepEqual([answer.exitStatus, answer.code], [1, code], `${of[0]}: ${answer.msg}`);
  return answer.msg ?? "";
}

function container(t: TestContext, name: string): NetNs {
  const ns = createNetNs(name);
  t.after(() => closeNetNs(ns));
  return ns;
}

const addressesIn = ({ ips }: Answer["result"]): string[] =>
  ips.map(({ address }) => address.split("/")[0] ?? "");
const reserved = (network: string): string[] =>
  readdirSync(join(dataDir, network)).filter((name) => !name.startsWith("."));

/** All that a namespace has, and what is switched on. */
async function stateOf(ns: NetNs): Promise<readonly string[]> {
  const shows = ["link", "address", "route", "-6 route", "rule", "neighbour"].map((words) =>
    words.split(" "),
  );
  const shown = await Promise.all(shows.map((words) => run(ns, "ip", words)));
  const { stdout } = await run(ns, "sh", [
    "-c",
    "cat /proc/sys/net/ipv4/conf/*/forwarding /proc/sys/net/ipv4/conf/all/rp_filter",
  ]);
  return [...shown.map((one) => one.stdout), stdout];
}

test("two containers reach each other and the node, and are reached, in both families; DEL leaves nothing", async (t) => {
  const network = networkOf("pods");
  const [one, two] = [container(t, "one"), container(t, "two")];
  // As container runtimes often have it.
  setSysctls(two, { "net/ipv6/conf/default/disable_ipv6": "1" });
  const before = await Promise.all([node, one, two].map(stateOf));
  const first = await succeeds("ADD", network, ["one", one]);
  const second = await succeeds("ADD", network, ["two", two]);
  assert.deepEqual(addressesIn(first), ["10.244.0.2", "fd00:10:244::2"]);
  assert.deepEqual(addressesIn(second), ["10.244.0.3", "fd00:10:244::3"]);
  assert.deepEqual(first.interfaces[1], {
    name: "eth0",
    mac: "0a:58:0a:f4:00:02",
    mtu: 1450,
    sandbox: one.path,
  });

  for (const [index, anywhere] of ["0.0.0.0", "::"].entries()) {
    const servers = [whoAmI(node, anywhere, 8080), whoAmI(two, anywhere, 8080)];
    const [from = "", to = ""] = [addressesIn(first)[index], addressesIn(second)[index]];
    const home = nodeAddresses[index] ?? "";
    assert.equal(await hear(one, to, 8080), from);
    assert.equal(await hear(one, home, 8080), from);
    assert.equal(await hear(node, to, 8080), home);
    for (const server of servers) server.close();
  }

  for (const [id, ns] of [
    ["one", one],
    ["one", one],
    ["two", two],
  ] as const)
    assert.deepEqual(await succeeds("DEL", network, [id, ns]), {});
  assert.deepEqual(await Promise.all([node, one, two].map(stateOf)), before);
  assert.deepEqual(reserved("pods"), []);
});

test("CHECK agrees right after ADD, and says with its code what somebody has broken since", async (t) => {
  const ns = container(t, "checked");
  const network = networkOf("checks");
  const prevResult = await succeeds("ADD", network, ["c", ns]);
  const device = prevResult.interfaces[0]?.name ?? "";
  const config = { ...network, prevResult };
  const of = ["c", ns] as const;
  assert.deepEqual(await succeeds("CHECK", config, of), {});
  const sabotage: readonly [number, NetNs, string, string][] = [
    [103, ns, "address delete fd00:10:244::2/128 dev eth0", "address add fd00:10:244::2/128 dev eth0 nodad"],
    [104, ns, "route delete default", "route add default via 169.254.1.1 dev eth0"],
    [104, node, "route delete fd00:10:244::2", `route add fd00:10:244::2 dev ${device}`],
    [102, ns, "link set eth0 mtu 1300", "link set eth0 mtu 1450"],
  ];
  for (const [code, where, line, mend] of sabotage) {
    await ipBatch(where, [line]);
    await fails(code, "CHECK", config, of);
    await ipBatch(where, [mend]);
  }
  assert.deepEqual(await succeeds("CHECK", config, of), {});
  await ipBatch(node, [`link delete ${device}`]);
  assert.match(await fails(102, "CHECK", config, of), /has no eth0/);
  await succeeds("DEL", config, of);
  assert.match(await fails(101, "CHECK", config, of), /no address is reserved/);
});

test("parallel ADDs never give an address twice; who comes too late is told to try again, and STATUS says so", async (t) => {
  // .2 to .6
  const network = networkOf("crowd", ["10.99.0.0/29"]);
  await succeeds("STATUS", network);
  const pods = Array.from({ length: 8 }, (_, n) => [`pod${n}`, container(t, `pod${n}`)] as const);
  const answers = await Promise.all(pods.map((pod) => call("ADD", network, pod)));
  const given = answers
    .filter(({ exitStatus }) => exitStatus === 0)
    .flatMap(({ result }) => addressesIn(result));
  assert.deepEqual([given.length, new Set(given).size], [5, 5]);
  assert.deepEqual(
    answers.flatMap(({ code }) => code ?? []),
    [11, 11, 11],
  );
  assert.deepEqual(reserved("crowd").toSorted(), given.toSorted());
  assert.match(await fails(50, "STATUS", network), /taken/);

  const keep = answers.findIndex(({ exitStatus }) => exitStatus === 0);
  const valid = { "cni.dev/valid-attachments": [{ containerID: `pod${keep}`, ifname: "eth0" }] };
  await succeeds("GC", { ...network, ...valid });
  const [left] = answers;
  assert.deepEqual(
    reserved("crowd"),
    addressesIn((answers[keep] ?? left)?.result ?? { interfaces: [], ips: [] }),
  );
  const { stdout } = await run(node, "ip", ["-o", "link", "show", "type", "veth"]);
  assert.equal(stdout.trim().split("\n").length, 1);
  await succeeds("STATUS", network);
  await succeeds("GC", { ...network, "cni.dev/valid-attachments": [] });
});

test("a node that forwards nothing gets no pods, and STATUS names the switch", async (t) => {
  t.after(() => setSysctls(node, forwarding));
  setSysctls(node, { "net/ipv4/ip_forward": "0" });
  const network = networkOf("closed");
  assert.match(await fails(51, "STATUS", network), /net\.ipv4\.ip_forward/);
  await fails(11, "ADD", network, ["c", container(t, "c")]);
});

test("an ADD that fails half-way leaves nothing, and does not harm what was there", async (t) => {
  const network = networkOf("half");
  const ns = container(t, "half");
  await ipBatch(ns, ["link set lo up", "route add default dev lo"]);
  const before = await Promise.all([node, ns].map(stateOf));
  assert.match(await fails(105, "ADD", network, ["c", ns]), /route add default/);
  assert.deepEqual(await Promise.all([node, ns].map(stateOf)), before);
  assert.deepEqual(reserved("half"), []);
});

test("what an ADD leaves that is killed once it has an address, DEL takes away", async (t) => {
  const network = networkOf("killed");
  const ns = container(t, "killed");
  const before = await Promise.all([node, ns].map(stateOf));
  mkdirSync(join(dataDir, "killed"), { recursive: true });
  const watcher = watch(join(dataDir, "killed"));
  t.after(() => watcher.close());
  const child = start("ADD", network, ["c", ns]);
  watcher.on("change", (_, name) => name === "10.244.0.2" && child.kill("SIGKILL"));
  await once(child, "close");
  assert.deepEqual(reserved("killed"), ["10.244.0.2"]);
  await succeeds("DEL", network, ["c", ns]);
  assert.deepEqual(reserved("killed"), []);
  assert.deepEqual(await Promise.all([node, ns].map(stateOf)), before);
});

test("places that cannot be attached are refused by name", async (t) => {
  const network = networkOf("places");
  const ns = container(t, "busy");
  await ipBatch(ns, ["link add eth0 type veth peer name other"]);
  assert.match(await fails(4, "ADD", network, ["c", ns]), /CNI_IFNAME/);
  assert.ok(hasLink(ns, "eth0"));
  assert.match(await fails(4, "ADD", network, ["c", node]), /CNI_NETNS.*node's own/);
  assert.match(await fails(4, "ADD", network, ["c", { ...ns, path: plugin }]), /CNI_NETNS/);
  assert.match(await fails(4, "ADD", network, ["c", { ...ns, path: "/proc/self/ns/uts" }]), /CNI_NETNS/);
  assert.match(
    await fails(3, "ADD", network, ["c", { ...ns, path: "/proc/0/ns/net" }]),
    /no network namespace/,
  );
});

test("a container that is gone is taken away without its namespace, and a second ADD needs a DEL first", async () => {
  const network = networkOf("gone", ["10.77.0.0/24"]);
  const ns = createNetNs("short");
  const { interfaces } = await succeeds("ADD", network, ["c", ns]);
  await ipBatch(ns, ["link set eth0 down", "link set eth0 name eth7"]);
  await fails(100, "ADD", network, ["c", ns]);
  closeNetNs(ns);
  await succeeds("DEL", { ...network, ipam: { dataDir } }, ["c"]);
  assert.ok(!hasLink(node, interfaces[0]?.name ?? ""));
  assert.deepEqual(reserved("gone"), []);
});
