/** The seed's example, whole: `up` by the command line, then real clients at every place of the path. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { createCli, succeeded } from "../support/cli.ts";
import { kubectlPath, runKubectl } from "../support/kubectl.ts";

interface StandIn {
  readonly pod: string;
  readonly node: string;
  readonly path: string;
  readonly headers: Record<string, string>;
}

interface Service {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly clusterIP: string };
}

for (const mode of ["nftables", "iptables"]) {
  describe(`the road with ${mode}`, { timeout: 90_000 }, () => {
    const name = `road-${mode}`;
    const cli = createCli();
    const exec = async (from: string, ...command: readonly string[]): Promise<string> =>
      succeeded(await cli("exec", "--name", name, "--from", from, "--", ...command));
    const answers = (text: string): StandIn[] =>
      text
        .trim()
        .split("\n")
        .map((line): StandIn => JSON.parse(line));

    before(async () => {
      succeeded(
        await cli(
          "up",
          "--name",
          name,
          "-f",
          "examples/hadywafa",
          "--proxy-mode",
          mode,
          "--publish",
          "none",
          "--detach",
        ),
      );
    });
    after(() => cli.close(name));

    const clusterIP = async (): Promise<string> => {
      const status: { services: (Service & { name: string; clusterIP: string })[] } = JSON.parse(
        succeeded(await cli("status", "--name", name, "-o", "json")),
      );
      const service = status.services.find((entry) => entry.name === "api-service");
      assert.ok(service);
      return service.clusterIP;
    };

    test("two pods are on node-a, one on node-b", async () => {
      const status: { pods: { name: string; node: string }[] } = JSON.parse(
        succeeded(await cli("status", "--name", name, "-o", "json")),
      );
      const nodes = status.pods.filter((pod) => pod.name.startsWith("api-")).map((pod) => pod.node);
      assert.deepEqual(
        nodes.toSorted((a = "", b = "") => a.localeCompare(b)),
        ["node-a", "node-a", "node-b"],
      );
    });

    test("300 fresh connections from one node hit each pod 100 times, and every window of three hits all three", async () => {
      const url = `http://${await clusterIP()}/?n=[1-300]`;
      const pods = answers(await exec("node/node-a", "curl", "-s", "-H", "Connection: close", url)).map(
        (a) => a.pod,
      );
      const counts = Object.values(Object.groupBy(pods, (pod) => pod)).map((group) => group?.length);
      assert.deepEqual(counts, [100, 100, 100]);
      for (let at = 0; at + 3 <= pods.length; at += 1) assert.equal(new Set(pods.slice(at, at + 3)).size, 3);
    });

    test("status tells how even the turns were, by the kernel's own counters", async () => {
      const status: { balance: { node: string; list: string; connections: number; spread: number }[] } =
        JSON.parse(succeeded(await cli("status", "--name", name, "-o", "json")));
      const ours = status.balance.find(
        (one) => one.node === "node-a" && one.list === "default/api-service:80/TCP",
      );
      assert.ok(
        ours !== undefined && ours.connections >= 300 && ours.spread <= 1,
        JSON.stringify(status.balance),
      );
    });

    test("from outside over HTTPS the spread differs by at most the number of nodes", async () => {
      const url = "https://api.hadywafa.com/v1?n=[1-60]";
      const output = succeeded(await cli("curl", "--name", name, "-s", "-H", "Connection: close", url));
      const counts = Object.values(Object.groupBy(answers(output), ({ pod }) => pod)).map(
        (group) => group?.length ?? 0,
      );
      assert.equal(counts.length, 3);
      assert.ok(Math.max(...counts) - Math.min(...counts) <= 2, `spread ${counts.join("/")}`);
    });

    test("the pod sees the outside client's address", async () => {
      const [answer] = answers(
        succeeded(await cli("curl", "--name", name, "-s", "https://api.hadywafa.com/x")),
      );
      assert.equal(answer?.headers["x-real-ip"], "203.0.113.10");
      assert.equal(answer?.headers["x-forwarded-proto"], "https");
      assert.equal(answer?.path, "/x");
    });

    test("a capture on the VXLAN port sees a token exactly when the answering pod is on the other node", async () => {
      const address = await clusterIP();
      const seen = new Map<boolean, number>();
      for (let index = 0; index < 6; index += 1) {
        const token = `token${process.pid}x${index}x`;
        // The datagram at the end travels the same way; when the capture has it, it has all that came before.
        const script =
          '"$1" --disable-warning=ExperimentalWarning test/support/capture.ts "/$2" "end-$2" >"$3" & ' +
          'until grep -q listening "$3"; do sleep 0.05; done; curl -s "http://$4/$2"; ' +
          'echo "end-$2" >/dev/udp/172.30.0.12/8472; wait; cat "$3" >&2';
        const file = join(cli.env["XDG_RUNTIME_DIR"] ?? "", `capture-${index}`);
        writeFileSync(file, "");
        const result = await cli(
          ...[
            "exec",
            "--name",
            name,
            "--from",
            "node/node-a",
            "--",
            "timeout",
            "20",
            "bash",
            "-c",
            script,
            "bash",
          ],
          ...[process.execPath, token, file, address],
        );
        const [answer] = answers(succeeded(result));
        const captured = !result.stderr.includes("seen 0");
        assert.match(result.stderr, /seen \d+/);
        const remote = answer?.node !== "node-a";
        assert.equal(captured, remote, `answered by ${answer?.node}, captured: ${captured}`);
        seen.set(remote, (seen.get(remote) ?? 0) + 1);
      }
      assert.deepEqual([seen.get(true), seen.get(false)], [2, 4]);
    });

    test("a pod resolves the Service by its short name", async () => {
      const status: { pods: { name: string; namespace: string }[] } = JSON.parse(
        succeeded(await cli("status", "--name", name, "-o", "json")),
      );
      const pod = status.pods.find((entry) => entry.name.startsWith("api-"));
      const [answer] = answers(await exec(`pod/default/${pod?.name}`, "curl", "-s", "http://api-service/"));
      assert.match(answer?.pod ?? "", /^api-/);
    });

    test("kubectl shows the objects: the Ingress with the load balancer's address, three ready pods on two nodes", async () => {
      const kubeconfig = succeeded(await cli("kubeconfig", "--name", name)).trim();
      const options = { kubeconfig, cacheDir: join(cli.env["XDG_RUNTIME_DIR"] ?? "", "kubectl") };
      const kubectl = async (...args: readonly string[]): Promise<string> =>
        succeeded(await runKubectl(kubectlPath("v35") ?? "kubectl", args, options));
      assert.match(
        await kubectl("get", "ingress"),
        /api-ingress +inroad +api\.hadywafa\.com +203\.0\.113\.128 +80/,
      );
      assert.match(
        await kubectl("get", "service", "api-service"),
        /ClusterIP +10\.96\.\d+\.\d+ +<none> +80\/TCP/,
      );
      const pods = (await kubectl("get", "pods", "-o", "wide", "--no-headers")).trim().split("\n");
      const nodes = pods.map((line) => /^api-\S+ +1\/1 +Running .* (node-[ab]) /.exec(line)?.[1] ?? line);
      assert.deepEqual(nodes.toSorted(), ["node-a", "node-a", "node-b"]);
    });

    test("trace explains a request hop by hop and agrees with the kernel", async () => {
      const result = await cli("trace", "--name", name, "https://api.hadywafa.com/", "-o", "json");
      const document: { verdict: { kind?: string } | string; steps: { hop: string }[] } = JSON.parse(
        succeeded(result),
      );
      assert.deepEqual(
        [...new Set(document.steps.map(({ hop }) => hop[0]))].toSorted((a = "", b = "") =>
          a.localeCompare(b),
        ),
        ["1", "2", "3", "4", "5", "6"],
      );
    });
  });
}
