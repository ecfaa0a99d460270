/** Beginning and end: who may be there twice, what dies with what, and that nothing is left. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { createCli, succeeded } from "../support/cli.ts";
import { allGone, family } from "../support/processes.ts";

interface Status {
  readonly pid: number;
  readonly pods: readonly { readonly namespace: string; readonly name: string; readonly address: string }[];
}

/** What a cluster run by root leaves on the host while it is up: a device and an nft table named after its directory. */
function tracesOnHost(directory: string): string[] {
  const name = `inroad-${createHash("sha256").update(directory).digest("hex").slice(0, 8)}`;
  const found = (command: string, ...args: readonly string[]): boolean =>
    spawnSync(command, args).status === 0;
  return [
    ...(found("ip", "link", "show", name) ? ["device"] : []),
    ...(process.getuid?.() === 0 && found("nft", "list", "table", "ip", name) ? ["table"] : []),
  ];
}

describe("life and death", { timeout: 120_000 }, () => {
  const cli = createCli();
  after(() => cli.close("life", "command"));
  const up = async (): Promise<Status> => {
    succeeded(await cli("up", "--name", "life", "-f", "examples/hadywafa", "--publish", "none", "--detach"));
    return JSON.parse(succeeded(await cli("status", "--name", "life", "-o", "json")));
  };
  const stateDir = join(cli.env["XDG_RUNTIME_DIR"] ?? "", "inroad", "life");

  test("a second up of the same name exits 2 and leaves the first alone", async () => {
    await up();
    const { code, stderr } = await cli("up", "--name", "life", "--publish", "none");
    assert.equal(code, 2);
    assert.match(stderr, /"life" is already up \(pid \d+\)/);
    succeeded(await cli("status", "--name", "life"));
  });

  test("down ends every process, leaves nothing, and may be said again", async () => {
    const { pid } = JSON.parse(succeeded(await cli("status", "--name", "life", "-o", "json")));
    const members = family(pid);
    assert.deepEqual(tracesOnHost(stateDir), process.getuid?.() === 0 ? ["device", "table"] : []);
    assert.ok(members.size >= 3, `${members.size} processes`);
    succeeded(await cli("down", "--name", "life"));
    await allGone(members);
    assert.equal(existsSync(stateDir), false);
    assert.deepEqual(tracesOnHost(stateDir), []);
    succeeded(await cli("down", "--name", "life"));
    assert.equal((await cli("status", "--name", "life")).code, 1);
  });

  for (const [who, pick] of [
    ["the process that status names", (pid: number): number => pid],
    ["the first process inside", (pid: number): number => [...family(pid).keys()].at(2) ?? 0],
  ] as const) {
    test(`kill -9 of ${who} ends everything, and down cleans up`, async () => {
      const { pid } = await up();
      const members = family(pid);
      process.kill(pick(pid), "SIGKILL");
      await allGone(members);
      succeeded(await cli("down", "--name", "life"));
      assert.equal(existsSync(stateDir), false);
      assert.deepEqual(tracesOnHost(stateDir), []);
    });
  }

  test("a mapped command serves its pod; killed, it is started again", async () => {
    const folder = cli.env["XDG_RUNTIME_DIR"] ?? "";
    // As root the command runs as nobody, who must be able to read it.
    const open = mkdtempSync(join(tmpdir(), "inroad-command-"));
    chmodSync(open, 0o755);
    const script = join(open, "server.js");
    writeFileSync(
      script,
      'require("http").createServer((q, s) => s.end(`${process.pid} ${process.env.GREETING} ${process.env.POD_IP}`)).listen(8080)',
    );
    const config = join(folder, "mapping.yaml");
    writeFileSync(
      config,
      JSON.stringify({ commands: [{ image: "hadywafa/api:1.0", command: [process.execPath, script] }] }),
    );
    const manifest = readFileSync("examples/hadywafa/api.yaml", "utf8")
      .replace("replicas: 3", "replicas: 1")
      .replace(
        "ports:\n            - containerPort: 8080",
        `env:
            - {name: GREETING, value: hello}
            - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
          readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
          ports:
            - containerPort: 8080`,
      );
    const file = join(folder, "command.yaml");
    writeFileSync(file, manifest);
    succeeded(
      await cli("up", "--name", "command", "-f", file, "--config", config, "--publish", "none", "--detach"),
    );
    const status: Status = JSON.parse(succeeded(await cli("status", "--name", "command", "-o", "json")));
    const address = status.pods.find(({ name }) => name.startsWith("api-"))?.address ?? "";
    const exec = async (...command: readonly string[]): Promise<string> =>
      succeeded(await cli("exec", "--name", "command", "--from", "node/node-a", "--", ...command));
    const [first = "", greeting, podIP] = (await exec("curl", "-s", `http://${address}:8080/`)).split(" ");
    assert.deepEqual([greeting, podIP], ["hello", address]);
    const again =
      'kill -9 "$1"; until out=$(curl -s --max-time 1 "http://$2:8080/"); do sleep 0.05; done; echo "$out"';
    const [second = ""] = (await exec("sh", "-c", again, "sh", first, address)).split(" ");
    assert.notEqual(second, first);
    rmSync(open, { recursive: true });
  });
});
