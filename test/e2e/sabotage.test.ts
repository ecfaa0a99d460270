/** Where prediction and observation differ, trace says so and exits non-zero. The kernel is changed behind Inroad's back. */
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { createCli, succeeded } from "../support/cli.ts";

interface Document {
  readonly verdict: { readonly outcome: string; readonly reason: string };
  readonly disagreements: readonly {
    readonly what: string;
    readonly component: string;
    readonly observed: string;
  }[];
}

interface Status {
  readonly pods: readonly { readonly name: string; readonly node: string; readonly address: string }[];
  readonly services: readonly { readonly name: string; readonly clusterIP: string }[];
}

describe("sabotage", { timeout: 120_000 }, () => {
  const name = "sabotage";
  const cli = createCli();
  let status: Status;
  const exec = async (node: string, ...command: readonly string[]): Promise<string> =>
    succeeded(await cli("exec", "--name", name, "--from", `node/${node}`, "--", ...command));
  const trace = async (from: string, url: string): Promise<{ code: number; document: Document }> => {
    const { code, stdout, stderr } = await cli("trace", "--name", name, "--from", from, url, "-o", "json");
    assert.notEqual(stdout, "", stderr);
    return { code, document: JSON.parse(stdout) };
  };
  const remote = (): { readonly name: string; readonly address: string } => {
    const pod = status.pods.find((entry) => entry.name.startsWith("api-") && entry.node === "node-b");
    assert.ok(pod);
    return pod;
  };

  before(async () => {
    succeeded(await cli("up", "--name", name, "-f", "examples/hadywafa", "--publish", "none", "--detach"));
    status = JSON.parse(succeeded(await cli("status", "--name", name, "-o", "json")));
  });
  after(() => cli.close(name));

  test("untouched, prediction and observation agree", async () => {
    const { code, document } = await trace("node/node-a", `http://${remote().address}:8080/`);
    assert.deepEqual([code, document.verdict.outcome, document.disagreements], [0, "delivered", []]);
  });

  test("one pod's packets dropped in a node", async () => {
    const { address } = remote();
    const rules = `table inet sabotage { chain forward { type filter hook forward priority -10; ip daddr ${address} drop; }; }`;
    await exec("node-b", "nft", rules);
    const { code, document } = await trace("node/node-a", `http://${address}:8080/`);
    await exec("node-b", "nft", "delete table inet sabotage");
    assert.equal(code, 1);
    assert.ok(document.disagreements.length > 0, "the trace claims that all is as predicted");
  });

  test("our DNAT rules deleted", async () => {
    const clusterIP = status.services.find((service) => service.name === "api-service")?.clusterIP;
    // The proxy puts its rules back within a second, so they are deleted again and again meanwhile; a request that
    // comes just between is answered well, and the next one is taken.
    const flag = join(cli.env["XDG_RUNTIME_DIR"] ?? "", "keep-deleting");
    writeFileSync(flag, "");
    const loop = 'while [ -e "$1" ]; do nft delete table ip inroad-proxy 2>/dev/null; done; exit 0';
    const deleting = exec("node-a", "sh", "-c", loop, "sh", flag);
    let { code, document } = await trace("node/node-a", `http://${clusterIP}/`);
    for (let tries = 1; code === 0 && tries < 10; tries += 1) {
      ({ code, document } = await trace("node/node-a", `http://${clusterIP}/`));
    }
    rmSync(flag);
    await deleting;
    assert.equal(code, 1);
    assert.ok(document.disagreements.length > 0);
  });

  test("deleted rules come back by themselves", async () => {
    const clusterIP = status.services.find((service) => service.name === "api-service")?.clusterIP;
    const script =
      'until curl -s --max-time 1 "http://$1/" >/dev/null; do sleep 0.05; done; curl -s "http://$1/"';
    const answer: { pod: string } = JSON.parse(
      await exec("node-a", "sh", "-c", script, "sh", clusterIP ?? ""),
    );
    assert.match(answer.pod, /^api-/);
  });

  test("a route pointed elsewhere", async () => {
    await exec("node-a", "ip", "route", "replace", "10.244.1.0/24", "via", "172.30.0.1", "dev", "eth0");
    const { code, document } = await trace("node/node-a", `http://${remote().address}:8080/`);
    await exec(
      "node-a",
      "ip",
      "route",
      "replace",
      "10.244.1.0/24",
      "via",
      "10.244.1.0",
      "dev",
      "flannel.1",
      "onlink",
    );
    assert.equal(code, 1);
    assert.ok(
      document.disagreements.some(({ observed }) => !observed.includes("flannel.1")),
      JSON.stringify(document.disagreements),
    );
  });
});
