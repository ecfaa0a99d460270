/** The road without namespaces: the example by the command line, for a user who may do nothing. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { createCli, succeeded } from "../support/cli.ts";
import { spawnConfined } from "../support/confined.ts";
import { kubectlPath, runKubectl } from "../support/kubectl.ts";
import { eventually } from "../support/live.ts";
import { allGone, family } from "../support/processes.ts";

interface StandIn {
  readonly pod: string;
  readonly node: string;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly peer: { readonly address: string };
}

interface Status {
  readonly pid: number;
  readonly notes: readonly string[];
  readonly pods: readonly { readonly name: string; readonly namespace: string; readonly address: string }[];
  readonly services: readonly { readonly name: string; readonly clusterIP: string }[];
}

const name = "bare";
const cli = createCli(spawnConfined);
const folder = cli.env["XDG_RUNTIME_DIR"] ?? "";
const up = (called: string, ...more: readonly string[]) =>
  cli("up", "--name", called, "--proxy-mode", "userspace", "--publish", "none", "--detach", ...more);
const statusOf = async (called: string): Promise<Status> =>
  JSON.parse(succeeded(await cli("status", "--name", called, "-o", "json")));
const exec = async (from: string, ...command: readonly string[]): Promise<string> =>
  succeeded(await cli("exec", "--name", name, "--from", from, "--", ...command));
const answers = (text: string): StandIn[] =>
  text
    .trim()
    .split("\n")
    .map((line): StandIn => JSON.parse(line));
const countsOf = (names: readonly string[]): number[] =>
  Object.values(Object.groupBy(names, (one) => one)).map((group) => group?.length ?? 0);

describe("the road without namespaces and rights", { timeout: 120_000 }, () => {
  let said = "";
  let status: Status;
  const clusterIP = (): string =>
    status.services.find((service) => service.name === "api-service")?.clusterIP ?? "";
  const apiPods = (): readonly Status["pods"][number][] =>
    status.pods.filter((pod) => pod.name.startsWith("api-"));

  before(async () => {
    said = succeeded(await up(name, "-f", "examples/hadywafa"));
    status = await statusOf(name);
  });
  after(() => cli.close(name, "second", "command", "other"));

  test("the other modes end here, and doctor names this one", async () => {
    const other = await cli("up", "--name", "other", "--publish", "none", "--detach");
    assert.equal(other.code, 1);
    assert.match(other.stderr, /unshare failed[^]*inroad doctor/);
    const { code, stdout } = await cli("doctor");
    assert.equal(code, 2);
    assert.match(stdout, /do without them: inroad up --proxy-mode userspace/);
  });

  test("up says where everything is, and which ports are elsewhere", () => {
    assert.match(said, /2 nodes, userspace, root(less)?\)/);
    assert.match(said, /Services are at 127\.\d+\.0\.0\/16, pods at 127\.\d+\.0\.0\/16/);
    assert.match(said, /ports below 1024 are not permitted here: port 80 is at 64592/);
    assert.equal(status.notes.length, 3);
  });

  test("300 fresh connections from one node hit each pod 100 times, and every window of three hits all three", async () => {
    const url = `http://${clusterIP()}/?n=[1-300]`;
    const output = await exec("node/node-a", "curl", "-s", "-H", "Connection: close", url);
    const pods = answers(output).map(({ pod }) => pod);
    assert.deepEqual(countsOf(pods), [100, 100, 100]);
    for (let at = 0; at + 3 <= pods.length; at += 1) assert.equal(new Set(pods.slice(at, at + 3)).size, 3);
  });

  test("from outside over HTTPS the spread differs by at most the number of nodes", async () => {
    const url = "https://api.hadywafa.com/v1?n=[1-60]";
    const output = succeeded(await cli("curl", "--name", name, "-s", "-H", "Connection: close", url));
    const counts = countsOf(answers(output).map(({ pod }) => pod));
    assert.equal(counts.length, 3);
    assert.ok(Math.max(...counts) - Math.min(...counts) <= 2, `spread ${counts.join("/")}`);
  });

  test("the ingress and the pod see addresses of the cluster", async () => {
    const [answer] = answers(
      succeeded(await cli("curl", "--name", name, "-s", "https://api.hadywafa.com/x")),
    );
    assert.equal(answer?.headers["x-real-ip"], "203.0.113.10");
    assert.equal(answer?.headers["x-forwarded-port"], "443");
    assert.match(answer?.peer.address ?? "", /^10\.244\.[01]\.\d+$/);
  });

  test("a pod resolves the Service by its short name, and is seen by its own address", async () => {
    const [pod, other] = apiPods();
    const from = `pod/default/${pod?.name}`;
    const url = "http://api-service/?n=[1-3]";
    const seen = answers(await exec(from, "curl", "-s", "-H", "Connection: close", url));
    const byOther = seen.find((answer) => answer.pod === other?.name);
    assert.equal(byOther?.peer.address, pod?.address);
  });

  test("a program that nobody started at a place comes in by the proxy that up names", () => {
    const proxy = /by the proxy (socks5h:\S+)/.exec(said)?.[1] ?? "";
    const url = "https://api.hadywafa.com/";
    const output = execFileSync("curl", ["-sk", "--proxy", proxy, url], { encoding: "utf8" });
    assert.equal(answers(output)[0]?.headers["x-real-ip"], "203.0.113.10");
  });

  test("a name that nobody owns is not found", async () => {
    const result = await cli("curl", "--name", name, "-s", "http://nowhere.example.com/");
    // curl(1): 97 is a SOCKS error.
    assert.equal(result.code, 97);
  });

  test("exec gives the exit status of its program, and 126 or 127 where there is none, as shells do", async () => {
    const status = async (...command: readonly string[]): Promise<number> =>
      (await cli("exec", "--name", name, "--from", "edge", "--", ...command)).code;
    assert.equal(await status("sh", "-c", "exit 7"), 7);
    // With directories in PATH that nobody may look into, "not found" cannot be known.
    assert.ok([126, 127].includes(await status("no-such-program")));
  });

  test("programs that know no proxy reach a Service at its image", async () => {
    const image = /Services are at (127\.\d+)\./.exec(said)?.[1];
    const [, , third, fourth] = clusterIP().split(".");
    const output = execFileSync("curl", ["-s", `http://${image}.${third}.${fourth}:64592/`], {
      encoding: "utf8",
    });
    assert.match(output, /"pod":"api-/);
  });

  test("trace explains a request hop by hop and agrees with the records", async () => {
    const result = await cli("trace", "--name", name, "https://api.hadywafa.com/", "-o", "json");
    const { steps, disagreements } = JSON.parse(succeeded(result)) as {
      steps: { hop: string; evidence: { checks: { source: string }[] } }[];
      disagreements: unknown[];
    };
    assert.deepEqual(disagreements, []);
    const hops = new Set(steps.map(({ hop }) => hop[0]));
    for (const hop of "123456") assert.ok(hops.has(hop), `hop ${hop}`);
    const sources = steps.flatMap(({ evidence }) => evidence.checks.map(({ source }) => source));
    assert.ok(sources.includes("proxy record node-a") || sources.includes("proxy record node-b"));
    assert.ok(!sources.some((source) => source.includes("conntrack")));
  });

  test("a Service without endpoints is refused, and trace says why", async () => {
    const manifest = join(folder, "empty.yaml");
    const service = {
      metadata: { name: "empty" },
      spec: { selector: { app: "none" }, ports: [{ port: 80 }] },
    };
    writeFileSync(manifest, JSON.stringify({ apiVersion: "v1", kind: "Service", ...service }));
    await kubectl("apply", "-f", manifest);
    const from = `pod/default/${apiPods()[0]?.name}`;
    const result = await cli("trace", "--name", name, "--from", from, "http://empty/");
    assert.equal(result.code, 1);
    assert.match(result.stdout, /no ready endpoints/);
  });

  test("a NetworkPolicy is not in force, which trace and status say", async () => {
    const manifest = join(folder, "policy.yaml");
    const kind = { apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", metadata: { name: "closed" } };
    writeFileSync(manifest, JSON.stringify({ ...kind, spec: { podSelector: {} } }));
    await kubectl("apply", "-f", manifest);
    const { code, stdout } = await cli("trace", "--name", name, "https://api.hadywafa.com/");
    assert.equal(code, 3, stdout);
    assert.match(
      stdout,
      /NetworkPolicy default\/closed: NetworkPolicies are not in force without namespaces/,
    );
    const { notes } = await statusOf(name);
    assert.ok(notes.includes("NetworkPolicies (1) are not in force without namespaces"), notes.join("\n"));
    await kubectl("delete", "-f", manifest);
  });

  test("kubectl scales, and the new pods get connections", async () => {
    await kubectl("scale", "deployment", "api", "--replicas=5");
    await eventually(async () => {
      const url = `http://${clusterIP()}/?n=[1-10]`;
      const output = await exec("node/node-b", "curl", "-s", "-H", "Connection: close", url);
      assert.deepEqual(countsOf(answers(output).map(({ pod }) => pod)), [2, 2, 2, 2, 2]);
    });
  });

  test("a stand-in is made unready; faults of a network that is not there are refused", async () => {
    const refused = await cli("fault", "node-down", "--name", name, "node-b");
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /cannot be made without network namespaces/);
    const [pod] = apiPods();
    succeeded(await cli("fault", "unready", "--name", name, `default/${pod?.name}`));
    succeeded(await cli("fault", "heal", "--name", name));
  });

  test("a node joins and leaves", async () => {
    succeeded(await cli("node", "add", "--name", name, "late"));
    const [pod] = apiPods();
    const from = `pod/default/${pod?.name}`;
    const health = await exec(from, "curl", "-s", "http://172.30.0.13:10256/healthz");
    assert.match(health, /"nodeEligible":true/);
    succeeded(await cli("node", "remove", "--name", name, "late"));
    const address = "http://172.30.0.13:10256/";
    const gone = await cli("exec", "--name", name, "--from", from, "--", "curl", "-s", address);
    assert.notEqual(gone.code, 0);
  });

  test("a second cluster has addresses of its own", async () => {
    succeeded(await up("second", "--nodes", "1"));
    const [first = "", second = ""] = [status, await statusOf("second")].map(({ notes }) => notes[0]);
    assert.notEqual(first, second);
    succeeded(await cli("down", "--name", "second"));
  });

  test("mapped commands listen where they are told, several of one image, and die with the cluster", async () => {
    const open = mkdtempSync(join(tmpdir(), "inroad-command-"));
    chmodSync(open, 0o755);
    const script = join(open, "server.js");
    const text =
      'require("http").createServer((q, s) => s.end(`${process.pid} ${process.env.KUBERNETES_SERVICE_PORT}\\n`)).listen(process.env.PORT)';
    writeFileSync(script, text);
    const config = join(folder, "mapping.yaml");
    const commands = [{ image: "hadywafa/api:1.0", command: [process.execPath, script] }];
    writeFileSync(config, JSON.stringify({ commands }));
    const probe = "readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}";
    const ports = "ports:\n            - containerPort: 8080";
    const manifest = readFileSync("examples/hadywafa/api.yaml", "utf8").replace(
      ports,
      `${probe}\n          ${ports}`,
    );
    const file = join(folder, "command.yaml");
    writeFileSync(file, manifest);
    succeeded(await up("command", "-f", file, "--config", config));
    const { pid, services } = await statusOf("command");
    const address = services.find((service) => service.name === "api-service")?.clusterIP;
    const url = `http://${address}/?n=[1-6]`;
    const output = succeeded(
      await cli(
        "exec",
        "--name",
        "command",
        "--from",
        "node/node-a",
        "--",
        "curl",
        "-s",
        "-H",
        "Connection: close",
        url,
      ),
    );
    const lines = output.trim().split("\n");
    assert.deepEqual(countsOf(lines.map((line) => line.split(" ")[0] ?? "")), [2, 2, 2]);
    assert.ok(lines.every((line) => line.endsWith(" 64955")));
    const members = family(pid);
    for (const line of lines) assert.ok(members.has(Number(line.split(" ")[0])));
    process.kill(pid, "SIGKILL");
    await allGone(members);
    succeeded(await cli("down", "--name", "command"));
    rmSync(open, { recursive: true });
  });

  test("down ends every process", async () => {
    const members = family(status.pid);
    assert.ok(members.size >= 2);
    succeeded(await cli("down", "--name", name));
    await allGone(members);
    assert.equal((await cli("status", "--name", name)).code, 1);
  });

  async function kubectl(...args: readonly string[]): Promise<string> {
    const kubeconfig = succeeded(await cli("kubeconfig", "--name", name)).trim();
    const options = { kubeconfig, cacheDir: join(folder, "kubectl") };
    return succeeded(await runKubectl(kubectlPath("v35") ?? "kubectl", args, options));
  }
});
