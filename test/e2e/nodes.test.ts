/** Overlays, address families, and nodes that join and leave, by the command line and a real kubectl. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { createLive, eventually, type Live } from "../support/live.ts";

interface Status {
  readonly ready: boolean;
  readonly overlay: string;
  readonly ipFamilies: readonly string[];
  readonly nodes: readonly { name: string; addresses: readonly string[]; ready: boolean }[];
  readonly pods: readonly { name: string; namespace: string; node: string; addresses: readonly string[] }[];
}

interface Step {
  readonly hop: string;
  readonly component: string;
  readonly action: string;
}

const answer = (text: string): { pod: string; node: string; peer: { address: string } } => JSON.parse(text);

async function statusOf(live: Live, name: string): Promise<Status> {
  const { stdout } = await live.cli("status", "--name", name, "-o", "json");
  return JSON.parse(stdout);
}

describe("plain routes and both address families", () => {
  const live = createLive("dual");
  const kubectl = live.kubectl("v35");
  before(() => live.up("--overlay", "host-gw", "--ip-families", "dual", "-f", "examples/hadywafa"));
  after(() => live.down());

  test("status and the API show both addresses of nodes and pods", async () => {
    const status = await statusOf(live, "dual");
    assert.equal(status.overlay, "host-gw");
    assert.deepEqual(status.ipFamilies, ["IPv4", "IPv6"]);
    assert.deepEqual(
      status.nodes.map(({ addresses }) => addresses),
      [
        ["172.30.0.11", "fd00:172:30::11"],
        ["172.30.0.12", "fd00:172:30::12"],
      ],
    );
    const get = (what: string, path: string) => kubectl(`get ${what} -o jsonpath=${path}`);
    assert.equal(await get("node node-b", "{.spec.podCIDRs}"), '["10.244.1.0/24","fd00:10:244:1::/64"]');
    const [, address] = JSON.parse(await get("pods", "{.items[0].status.podIPs[*].ip}").then(asList));
    assert.match(address, /^fd00:10:244:/);
  });

  test("pods of two nodes reach each other over IPv6", async () => {
    const { pods } = await statusOf(live, "dual");
    const apps = pods.filter(({ namespace }) => namespace === "default");
    const [from, to] = ["node-a", "node-b"].map((node) => apps.find((pod) => pod.node === node));
    assert.ok(from && to);
    const text = await live.exec(
      `pod/default/${from.name}`,
      "curl",
      "-sS",
      `http://[${to.addresses[1]}]:8080/`,
    );
    assert.equal(answer(text).pod, to.name);
    assert.equal(answer(text).peer.address, from.addresses[1]);
  });

  test("a Service and a load-balancer address of IPv6 lead to pods, and a trace of each agrees", async () => {
    const patch = { spec: { ipFamilyPolicy: "PreferDualStack", type: "LoadBalancer" } };
    await kubectl(`patch service api-service -p ${JSON.stringify(patch)}`);
    const ingress = [{ ip: "203.0.113.140" }, { ip: "2001:db8:203:113:8000::140" }];
    const status = { status: { loadBalancer: { ingress } } };
    await kubectl(`patch service api-service --subresource=status -p ${JSON.stringify(status)}`);
    const clusterIP = await kubectl("get service api-service -o jsonpath={.spec.clusterIPs[1]}");
    const [pod = ""] = (await kubectl("get pods -o name")).split("\n");
    const requests = [
      [pod.replace("pod/", "pod/default/"), `http://[${clusterIP}]/`],
      ["internet", "http://[2001:db8:203:113:8000::140]/"],
      ["internet", "http://203.0.113.140/"],
    ] as const;
    for (const [from, url] of requests) {
      assert.ok(answer(await eventually(() => live.exec(from, "curl", "-sSf", "-m", "2", url))).pod);
      await crossing(live, "dual", from, url);
    }
  });

  test("between nodes a trace says `route`, not `encapsulate`, and the kernel agrees", async () => {
    const steps = await crossing(live, "dual", "internet", "http://api.hadywafa.com/");
    assert.ok(steps.every(({ action }) => action === "route"));
  });
});

/** The steps on nodes of the first traced request that crosses from one node to another. All traces on the way must agree. */
async function crossing(live: Live, name: string, from: string, url: string): Promise<readonly Step[]> {
  for (let tries = 0; tries < 12; tries += 1) {
    const { stdout, stderr } = await live.cli("trace", "--name", name, "--from", from, url, "-o", "json");
    const trace: { steps: Step[]; disagreements: unknown[]; verdict: { outcome: string } } =
      JSON.parse(stdout);
    assert.deepEqual(trace.disagreements, [], stderr);
    assert.equal(trace.verdict.outcome, "delivered");
    const nodes = trace.steps.filter(({ hop }) => hop === "5-node");
    if (new Set(nodes.slice(-2).map(({ component }) => component)).size === 2) return nodes;
  }
  return assert.fail(`no request to ${url} crossed from one node to another`);
}

describe("nodes that join and leave", () => {
  const live = createLive("nodes");
  const kubectl = live.kubectl("v35");
  before(() => live.up("-f", "examples/hadywafa"));
  after(() => live.down());
  const get = (): Promise<string> => live.exec("internet", "curl", "-sSf", "http://api.hadywafa.com/");
  const nodesOfPods = async (): Promise<readonly string[]> =>
    (await kubectl("get pods -o jsonpath={.items[*].spec.nodeName}")).split(" ");

  test("a new node is Ready and gets pods that answer from outside", async () => {
    const added = await live.cli("node", "add", "--name", "nodes");
    assert.equal(added.stdout, "node node-c has joined (172.30.0.13)\n");
    await kubectl("wait --for=condition=Ready node/node-c --timeout=20s");
    await kubectl("scale deployment api --replicas=6");
    await kubectl("rollout status deployment/api --timeout=30s");
    assert.ok((await nodesOfPods()).includes("node-c"));
    await eventually(async () => assert.equal(answer(await get()).node, "node-c"));
  });

  test("a cordoned node gets no new pods and keeps the ones it has", async () => {
    await kubectl("cordon node-c");
    assert.match(await kubectl("get node node-c"), /Ready,SchedulingDisabled/);
    const before = (await nodesOfPods()).filter((node) => node === "node-c").length;
    await kubectl("scale deployment api --replicas=9");
    await kubectl("rollout status deployment/api --timeout=30s");
    assert.equal((await nodesOfPods()).filter((node) => node === "node-c").length, before);
  });

  test("drain empties it, and then its removal disturbs no request", async () => {
    await kubectl("drain node-c --ignore-daemonsets --timeout=40s");
    await kubectl("rollout status deployment/api --timeout=30s");
    assert.ok(!(await nodesOfPods()).includes("node-c"));
    const over = new AbortController();
    const requests = (async () => {
      let count = 0;
      for (; !over.signal.aborted; count += 1) await get();
      return count;
    })();
    const removed = await live.cli("node", "remove", "node-c", "--name", "nodes");
    assert.equal(removed.code, 0, removed.stderr);
    over.abort();
    assert.ok((await requests) > 0);
    assert.equal(await kubectl("get node node-c --ignore-not-found"), "");
    assert.equal((await statusOf(live, "nodes")).ready, true);
    await assert.rejects(live.exec("node/node-a", "ip", "route", "get", "10.244.2.2"), /unreachable/i);
  });

  test("a node that is removed with its pods loses them, and they come back elsewhere", async () => {
    await live.cli("node", "remove", "node-b", "--name", "nodes");
    await kubectl("rollout status deployment/api --timeout=30s");
    assert.deepEqual([...new Set(await nodesOfPods())], ["node-a"]);
    await eventually(async () => assert.equal(answer(await get()).node, "node-a"));
  });

  test("what cannot join or leave is refused with exit status 2 and what to do", async () => {
    const attempts = [
      [["node", "remove", "node-a"], /node-a is the last node\n {2}take the cluster down instead/],
      [["node", "remove", "nowhere"], /there is no node nowhere\n {2}nodes are: node-a/],
      [["node", "add", "node-a"], /there is a node node-a already/],
      [["node", "add", "No_Name"], /"No_Name" is no name for a node/],
    ] as const;
    for (const [args, message] of attempts) {
      const { code, stderr } = await live.cli(...args, "--name", "nodes");
      assert.equal(code, 2, stderr);
      assert.match(stderr, message);
    }
  });
});

/** `10.0.0.1 fd00::1` as a JSON list. */
function asList(text: string): string {
  return JSON.stringify(text.split(" "));
}
