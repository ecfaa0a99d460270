/** NetworkPolicies with packets: what changes while they are in force, and what they do not bind. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, beforeEach, test } from "node:test";
import { createServer } from "node:net";
import { nft, run, tcpConnect, tcpListener } from "#kernel";
import type { NetNs } from "#kernel";
import { silentLog } from "#lib/log";
import { startPolicyPlane } from "#path/node";
import { policy, worldPod, worldSnapshot } from "../support/policy-world.ts";
import { echoRequest, listenRaw, sctpInit, sendRaw } from "./raw-packets.ts";
import { forgetDenied, outside, startPolicyLab } from "./policy-lab.ts";
import type { PolicyLab, Probe } from "./policy-lab.ts";

let lab: PolicyLab;
const warnings: string[] = [];
before(async () => {
  lab = await startPolicyLab({ ...silentLog, warn: (message) => void warnings.push(message) });
});
beforeEach(() => lab.set(worldSnapshot([])));
after(() => lab.close());

const onlyA = { podSelector: { matchLabels: { pod: "a" } } };
const fromB = policy("x/from-b", {
  ...onlyA,
  ingress: [{ from: [{ podSelector: { matchLabels: { pod: "b" } } }] }],
});
const closed = policy("x/deny", { ...onlyA, policyTypes: ["Ingress", "Egress"] });

/** `xb ya`: those of the sources whose TCP connection to port 80 of xa, by both families, is accepted. */
async function reaching(...sources: readonly string[]): Promise<string> {
  const probes = sources.flatMap((from) =>
    (["ipv4", "ipv6"] as const).map((family): Probe => ({
      from,
      to: "xa",
      port: 80,
      protocol: "TCP",
      family,
    })),
  );
  const answered = await lab.probe(probes);
  return sources
    .filter((from) => {
      const both = probes.filter((probe) => probe.from === from).map((probe) => answered.has(probe));
      assert.equal(both[0], both[1], `${from}: the families differ`);
      return both[0];
    })
    .join(" ");
}

const nodeA = (): NetNs => lab.place("node-a");

async function ruleset(ns: NetNs): Promise<string> {
  return (await run(ns, "nft", ["list", "ruleset"])).stdout;
}

test("a changed label moves a pod in and out of the allowed ones; the rules stay the same", async () => {
  const rules = async (): Promise<string[]> =>
    (await ruleset(nodeA())).split("\n").filter((line) => / (accept|drop|jump|goto) ?/.test(line));
  await lab.set(worldSnapshot([fromB]));
  assert.equal(await reaching("xb", "xc"), "xb");
  const before = await rules();
  await lab.set(worldSnapshot([fromB], { podLabels: { xb: {}, xc: { pod: "b" } } }));
  assert.equal(await reaching("xb", "xc"), "xc");
  assert.deepEqual(await rules(), before);
});

test("labels of a namespace count as soon as they change", async () => {
  const fromY = policy("x/from-y", {
    ...onlyA,
    ingress: [{ from: [{ namespaceSelector: { matchLabels: { ns: "y" } } }] }],
  });
  await lab.set(worldSnapshot([fromY]));
  assert.equal(await reaching("ya", "za"), "ya");
  await lab.set(worldSnapshot([fromY], { namespaceLabels: { y: {}, z: { ns: "y" } } }));
  assert.equal(await reaching("ya", "za"), "za");
});

test("an open connection outlives a policy that would not allow it; a new one is kept back", async (t) => {
  const server = createServer((peer) => peer.pipe(peer));
  server.listen({ fd: tcpListener(lab.place("xa"), worldPod("xa").ipv4, 7) });
  t.after(() => server.close());
  const socket = tcpConnect(lab.place("xb"), worldPod("xa").ipv4, 7);
  t.after(() => socket.destroy());
  await once(socket, "connect");
  await lab.set(worldSnapshot([closed]));
  assert.equal(await reaching("xb"), "");
  socket.write("still here");
  const [answer]: Buffer[] = await once(socket, "data");
  assert.equal(answer?.toString(), "still here");
});

test("its own node reaches an isolated pod, any other node does not", async () => {
  await lab.set(worldSnapshot([closed]));
  assert.equal(await reaching("node-a", "node-b"), "node-a");
});

test("an isolated pod reaches its own node, not another one", async () => {
  await lab.set(worldSnapshot([closed]));
  const refused = async (address: string): Promise<unknown> => {
    const socket = tcpConnect(lab.place("xa"), address, 9);
    const denied = async (): Promise<string> => {
      while (!(await lab.planes.get("node-a")?.denied())?.some(({ destination }) => destination === address))
        await new Promise((resolve) => setTimeout(resolve, 5));
      return "kept back";
    };
    const failed = once(socket, "connect").catch((error: NodeJS.ErrnoException) => error.code);
    const end = await Promise.race([failed, denied()]);
    socket.destroy();
    return end;
  };
  assert.equal(await refused("172.30.0.12"), "kept back");
  assert.equal(await refused("172.30.0.11"), "ECONNREFUSED");
});

test("a client outside is known by its own address, and blocks may allow it", async () => {
  await lab.set(worldSnapshot([fromB]));
  assert.equal(await reaching("outside"), "");
  const blocks = [{ ipBlock: { cidr: "203.0.113.0/24" } }, { ipBlock: { cidr: "fd00:203::/32" } }];
  await lab.set(worldSnapshot([fromB, policy("x/block", { ...onlyA, ingress: [{ from: blocks }] })]));
  assert.equal(await reaching("outside", "ya"), "outside");
  const except = [{ ipBlock: { cidr: "203.0.113.0/24", except: [`${outside.ipv4}/32`] } }];
  await lab.set(worldSnapshot([policy("x/block", { ...onlyA, ingress: [{ from: except }] })]));
  assert.equal(await reaching("outside"), "");
});

type Other = "icmp" | "ipv6-icmp" | "sctp";

/** Whether a packet from xb arrives at xa; if not, its node has recorded it. */
async function arrives(protocol: Other, payload: Buffer): Promise<boolean> {
  const address = worldPod("xa")[protocol === "ipv6-icmp" ? "ipv6" : "ipv4"];
  const listener = listenRaw(lab.place("xa"), address, protocol);
  // ICMPv6 gets its checksum from the kernel, so that its last bytes are compared.
  const end = payload.subarray(4);
  try {
    await forgetDenied(nodeA());
    sendRaw(lab.place("xb"), address, protocol, payload);
    for (const deadline = Date.now() + 10_000; Date.now() < deadline;) {
      if (listener.got(end)) return true;
      const denied = await lab.planes.get("node-a")?.denied();
      if (denied?.some((one) => one.protocol === protocol) === true) return false;
    }
    throw new Error(`${protocol}: neither arrived nor recorded`);
  } finally {
    listener.close();
  }
}

test("SCTP passes where its port is allowed: packets of it, since not every kernel has SCTP itself", async () => {
  const sctp = policy("x/sctp", { ...onlyA, ingress: [{ ports: [{ protocol: "SCTP", port: 80 }] }] });
  const tcp = policy("x/tcp", { ...onlyA, ingress: [{ ports: [{ protocol: "TCP", port: 81 }] }] });
  await lab.set(worldSnapshot([sctp, tcp]));
  assert.equal(await arrives("sctp", sctpInit(4000, 80)), true);
  assert.equal(await arrives("sctp", sctpInit(4001, 81)), false);
});

test("other protocols pass where a rule has no ports, and only there", async () => {
  const port80 = policy("x/web", { ...onlyA, ingress: [{ ports: [{ port: 80 }] }] });
  let identifier = 1;
  for (const [policies, wanted] of [
    [[], true],
    [[port80], false],
    [[port80, fromB], true],
  ] as const) {
    await lab.set(worldSnapshot(policies));
    for (const protocol of ["icmp", "ipv6-icmp"] as const) {
      assert.equal(await arrives(protocol, echoRequest(protocol, identifier++)), wanted, protocol);
    }
  }
});

test("deleted rules are put back", async () => {
  await lab.set(worldSnapshot([closed]));
  for (const sabotage of [
    "delete table ip inroad-policy",
    "flush chain ip inroad-policy isolated/x/ingress",
    `delete element ip inroad-policy policy/x/deny/pods { ${worldPod("xa").ipv4} }`,
    "flush chain ip6 inroad-policy ingress",
  ]) {
    const whole = await ruleset(nodeA());
    await nft(nodeA(), `${sabotage}\n`);
    const deadline = Date.now() + 10_000;
    while (sorted(await ruleset(nodeA())) !== sorted(whole) && Date.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(sorted(await ruleset(nodeA())), sorted(whole), sabotage);
  }
  assert.equal(await reaching("xb"), "");
});

/** The same content, in whatever order and with whatever was recorded meanwhile. */
function sorted(rules: string): string {
  return rules
    .replaceAll(/elements = \{[^}]*expires[^}]*\}/g, "")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .sort()
    .join("\n");
}

test("while a change cannot be put in force the old policies stay, and the next good change follows", async () => {
  await lab.set(worldSnapshot([fromB]));
  const good = worldSnapshot([closed]);
  const [pod] = good.podsByAddress.values();
  assert.ok(pod);
  warnings.length = 0;
  lab.source.set({ ...good, podsByAddress: new Map([...good.podsByAddress, ["10.244.0.999", pod]]) });
  while (warnings.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.match(warnings[0] ?? "", /^policies not in force, trying again in 50 ms: .*10\.244\.0\.999/s);
  assert.equal(await reaching("xb", "xc"), "xb");
  await lab.set(good);
  assert.equal(await reaching("xb", "xc"), "");
});

test("a plane that starts where another one left its tables takes them over, and takes them away at its end", async () => {
  await lab.set(worldSnapshot([closed]));
  const node = nodeA();
  const source = { current: () => worldSnapshot([fromB]), subscribe: () => () => undefined };
  const second = startPolicyPlane({ source, node: "node-a", ns: node, log: silentLog });
  await second.ready;
  assert.doesNotMatch(await ruleset(node), /policy\/x\/deny/);
  assert.match(await ruleset(node), /policy\/x\/from-b/);
  await second.close();
  assert.equal((await nft(node, "list tables\n")).trim(), "table inet tracking");
});
