/** Faults made on purpose: what packets meet, what `status` and `trace` say, and that nothing is left when they are healed. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { createLive, eventually } from "../support/live.ts";
import type { Result } from "../support/cli.ts";

interface Status {
  readonly ready: boolean;
  readonly pods: readonly { readonly name: string; readonly node: string; readonly address: string }[];
  readonly nodes: readonly { readonly name: string; readonly ready: boolean }[];
  readonly faults: readonly { readonly id: number; readonly kind: string; readonly text: string }[];
}

interface Document {
  readonly verdict: { readonly outcome: string; readonly reason: string; readonly mend?: string };
  readonly disagreements: readonly object[];
  readonly findings: readonly { readonly code: string; readonly message: string }[];
}

describe("inroad fault", { timeout: 180_000 }, () => {
  const name = "fault";
  const live = createLive(name);
  const { cli } = live;
  let status: Status;
  const fault = (...args: readonly string[]): Promise<Result> => cli("fault", "--name", name, ...args);
  const statusNow = async (): Promise<Status> =>
    JSON.parse((await cli("status", "--name", name, "-o", "json")).stdout);
  const made = async (...args: readonly string[]): Promise<void> => {
    const { code, stderr } = await fault(...args);
    assert.equal(code, 0, stderr);
  };
  before(async () => {
    await live.up("-f", "examples/hadywafa");
    status = await statusNow();
  });
  after(() => live.down());
  const podOn = (node: string): { readonly name: string; readonly address: string } => {
    const pod = status.pods.find((entry) => entry.name.startsWith("api-") && entry.node === node);
    assert.ok(pod);
    return pod;
  };
  const trace = async (url: string): Promise<{ code: number; document: Document }> => {
    const args = ["--name", name, "--from", "node/node-a", url, "-o", "json"];
    const { code, stdout, stderr } = await cli("trace", ...args);
    assert.notEqual(stdout, "", stderr);
    return { code, document: JSON.parse(stdout) };
  };
  /** Whether a pod answers a node. */
  const reaches = async (node: string, address: string): Promise<boolean> => {
    const curl = ["curl", "-s", "-m", "1", "-o", "/dev/null", `http://${address}:8080/`];
    return (await cli("exec", "--name", name, "--from", `node/${node}`, "--", ...curl)).code === 0;
  };
  const remote = (): string => podOn("node-b").address;

  test("a partition parts two nodes, and only them; trace predicts it and names the fault", async () => {
    await made("partition", "node-a", "node-b");
    assert.equal(await reaches("node-a", remote()), false);
    assert.equal(await reaches("node-b", podOn("node-a").address), false);
    assert.equal(await reaches("node-b", remote()), true);
    const { code, document } = await trace(`http://${remote()}:8080/`);
    assert.deepEqual([code, document.verdict.outcome, document.disagreements], [1, "dropped", []]);
    assert.match(document.verdict.reason, /nothing passes between node-a and node-b/);
    const { faults } = await statusNow();
    assert.deepEqual(
      faults.map(({ kind, text }) => [kind, text]),
      [["partition", "nothing passes between node-a and node-b"]],
    );
    await made("heal", String(faults[0]?.id));
    assert.equal(await reaches("node-a", remote()), true);
    assert.equal((await trace(`http://${remote()}:8080/`)).document.verdict.outcome, "delivered");
  });

  test("loss loses some packets, so that connections are late; a trace across it is undecided", async () => {
    const script = 'for i in $(seq 30); do curl -s -m 0.9 -o /dev/null "$1" || echo late & done; wait';
    const late = async (): Promise<number> => {
      const output = await live.exec("node/node-a", "bash", "-c", script, "bash", `http://${remote()}:8080/`);
      return output.split("late").length - 1;
    };
    await made("loss", "node-b", "5");
    // A lost packet is sent again after 200 ms at the earliest, that of a new connection after a second.
    assert.ok((await late()) > 0);
    const { code, document } = await trace(`http://${remote()}:8080/`);
    assert.deepEqual([code, document.verdict.outcome, document.disagreements], [3, "unknown", []]);
    await made("heal");
    assert.equal((await trace(`http://${remote()}:8080/`)).document.verdict.outcome, "delivered");
  });

  test("a node that is down is found lost, its traffic goes elsewhere, and healed it is back", async () => {
    await made("node-down", "node-b");
    assert.equal(await reaches("node-a", remote()), false);
    await eventually(async () =>
      assert.equal((await statusNow()).nodes.find((node) => node.name === "node-b")?.ready, false),
    );
    const clusterIP = (
      await live.kubectl("v35")("get service api-service -o jsonpath={.spec.clusterIP}")
    ).trim();
    await eventually(async () => {
      const urls = `http://${clusterIP}/?n=[1-6]`;
      const answers = await live.exec(
        "node/node-a",
        "curl",
        "-sSf",
        "-m",
        "2",
        "-H",
        "Connection: close",
        urls,
      );
      assert.doesNotMatch(answers, /"node":"node-b"/);
    });
    await made("heal");
    await eventually(async () => assert.equal((await statusNow()).ready, true));
    assert.equal(await reaches("node-a", remote()), true);
  });

  test("a stand-in told to be unready leaves its Service until it is healed", async () => {
    const kubectl = live.kubectl("v35");
    const { name: pod } = podOn("node-b");
    await made("unready", pod);
    await kubectl(`wait pod ${pod} --for=condition=Ready=false --timeout=10s`);
    const [made1] = (await statusNow()).faults;
    assert.equal(made1?.text, `pod default/${pod} says that it is not ready`);
    await made("heal", String(made1?.id));
    await kubectl(`wait pod ${pod} --for=condition=Ready --timeout=10s`);
  });

  test("latency delays what leaves a node; a kernel without netem says so, and nothing is changed", async () => {
    const { code, stderr } = await fault("latency", "node-b", "300");
    if (code === 0) {
      const began = performance.now();
      assert.equal(await reaches("node-a", remote()), true);
      assert.ok(performance.now() - began >= 300);
      await made("heal");
    } else {
      assert.equal(code, 3);
      assert.match(stderr, /sch_netem/);
    }
    assert.deepEqual((await statusNow()).faults, []);
  });

  for (const [what, args, pattern] of [
    ["an unknown node", ["node-down", "node-x"], /no node node-x.*nodes are: node-a, node-b/s],
    ["one node twice", ["partition", "node-a", "node-a"], /from itself/],
    ["too much loss", ["loss", "node-a", "101"], /a number from 0.01 to 100/],
    ["an unknown pod", ["unready", "nobody"], /no pod default\/nobody/],
    ["a part of Inroad", ["unready", "kube-system/DNS"], /no stand-in/],
    ["an unknown fault", ["heal", "99"], /no fault 99/],
  ] as const) {
    test(`${what} is refused, with status 2`, async () => {
      const dns = status.pods.find((pod) => pod.name.startsWith("kube-dns-"))?.name ?? "";
      const { code, stderr } = await fault(...args.map((arg) => arg.replace("DNS", dns)));
      assert.equal(code, 2);
      assert.match(stderr, pattern);
    });
  }

  test("healed, no rule, no queueing and no fault is left", async () => {
    await made("partition", "node-a", "node-b");
    const { code, stderr } = await fault("partition", "node-b", "node-a");
    assert.equal(code, 2);
    assert.match(stderr, /of that kind already/);
    await made("heal");
    for (const node of ["node-a", "node-b"]) {
      assert.doesNotMatch(await live.exec(`node/${node}`, "nft", "list", "tables"), /inroad-fault/);
    }
    assert.match((await fault("list")).stdout, /nothing is broken/);
  });
});
