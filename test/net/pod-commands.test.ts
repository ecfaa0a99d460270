import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { ask, debugToken, isReady, podOf, resource, startWorld } from "./pod-fixture.ts";
import type { PodWorld } from "./pod-fixture.ts";

/** A server as a user would map it: tells its environment, can be told to ignore SIGTERM by its argument. */
const program = `
const http = require("node:http"), fs = require("node:fs"), os = require("node:os");
if (process.argv[1] === "stubborn") process.on("SIGTERM", () => console.log("not yet"));
http.createServer((request, response) => {
  console.log("asked for " + request.url);
  response.end(JSON.stringify({ pid: fs.readlinkSync("/proc/self"), uid: process.getuid(), env: process.env,
    args: process.argv.slice(1), resolver: fs.readFileSync("/etc/resolv.conf", "utf8") }));
}).listen(Number(process.env.PORT), "0.0.0.0", () => console.error("listening"));
`;

let world: PodWorld;
before(async () => {
  const server = { command: process.execPath, env: { PORT: "8080" } };
  world = await startWorld({
    commands: [
      { image: "example/server", ...server, args: ["-e", program, "$(GREETING) $(POD_IP)"] },
      { image: "example/stubborn", ...server, args: ["-e", program, "stubborn"] },
      { workload: "pod/missing", command: "/no/such/program" },
      { container: "crash", command: "/bin/sh", args: ["-c", "echo going down; exit 4"] },
    ],
  });
});
after(() => world.close());

const nodeA = () => world.node("node-a").ns;
const server = { image: "example/server:2", readinessProbe: { tcpSocket: { port: 8080 } } };

interface Answer {
  readonly pid: string;
  readonly uid: number;
  readonly env: Record<string, string>;
  readonly args: string[];
  readonly resolver: string;
}

async function answerOf(address: string): Promise<Answer> {
  return JSON.parse((await ask(nodeA(), address, 8080, "/who")).text) as Answer;
}

function logsOf(pod: string, query = ""): Promise<string> {
  const headers = { authorization: `Bearer ${debugToken}` };
  return ask(nodeA(), "172.30.0.11", 10250, `/containerLogs/default/${pod}/app?${query}`, { headers }).then(
    ({ text }) => text,
  );
}

test("a mapped command gets the pod's environment, expanded arguments and resolver, and no privileges", async () => {
  await world.apply(resource("v1", "ConfigMap"), {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "settings", namespace: "default" },
    data: { GREETING: "hello", LEVEL: "high" },
  });
  await world.apply(resource("v1", "Secret"), {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "keys", namespace: "default" },
    data: { token: Buffer.from("s3cret").toString("base64") },
  });
  await world.create(
    podOf("server", {
      ...server,
      envFrom: [{ configMapRef: { name: "settings" } }],
      env: [
        { name: "TOKEN", valueFrom: { secretKeyRef: { name: "keys", key: "token" } } },
        { name: "POD_IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
        { name: "BOTH", value: "$(GREETING)-$(LEVEL)" },
        { name: "PATH", value: "/nowhere" },
        { name: "LD_LIBRARY_PATH", value: "/nowhere" },
      ],
    }),
  );
  const { address } = await world.ready("server");
  const answer = await answerOf(address);
  assert.deepEqual(answer.args, [`hello ${address}`]);
  assert.deepEqual(
    ["TOKEN", "POD_IP", "BOTH", "HOSTNAME", "KUBERNETES_SERVICE_HOST", "PATH", "LD_LIBRARY_PATH"].map(
      (name) => answer.env[name] ?? "",
    ),
    ["s3cret", address, "hello-high", "server", "10.96.0.1", "/nowhere", "/nowhere"],
  );
  assert.equal(
    answer.resolver,
    "search default.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n",
  );
  const status = readFileSync(`/proc/${answer.pid}/status`, "utf8");
  assert.match(status, /^CapEff:\s0+$/m);
  assert.match(status, /^NoNewPrivs:\s1$/m);
  const mapped = readFileSync("/proc/self/uid_map", "utf8").trim().split(/\s+/)[2] !== "1";
  assert.equal(answer.uid, mapped ? 65534 : 0);
});

test("its output is kept as the container's log", async () => {
  const log = await logsOf("server");
  assert.match(log, /^listening\n(asked for \/who\n)+$/);
  assert.match(
    await logsOf("server", "timestamps=true&tailLines=1"),
    /^\d{4}-\d\d-\d\dT\S+Z asked for \/who\n$/,
  );
});

test("killed with SIGKILL it is started again, and the former log is kept", async () => {
  const { address } = await world.ready("server");
  const { pid } = await answerOf(address);
  process.kill(Number(pid), "SIGKILL");
  const pod = await world.until(
    "server",
    "restarted",
    (one) => one?.status?.containerStatuses?.[0]?.restartCount === 1 && isReady(one),
  );
  const ended = pod?.status?.containerStatuses?.[0]?.lastState?.terminated;
  assert.deepEqual([ended?.exitCode, ended?.reason], [137, "Error"]);
  assert.notEqual((await answerOf(address)).pid, pid);
  assert.match(await logsOf("server", "previous=true"), /asked for \/who/);
});

test("SIGTERM ends it at once; ignored, SIGKILL follows after the grace period and nothing is left", async () => {
  await world.create(podOf("polite", server));
  await world.create(podOf("stubborn", { ...server, image: "example/stubborn" }));
  await world.ready("polite");
  const { pid } = await answerOf((await world.ready("stubborn")).address);
  const started = Date.now();
  await world.remove("polite", 10);
  await world.until("polite", "gone", (pod) => pod === undefined);
  assert.ok(Date.now() - started < 5000);
  const second = Date.now();
  await world.remove("stubborn", 1);
  await world.until("stubborn", "gone", (pod) => pod === undefined);
  assert.ok(Date.now() - second >= 900);
  assert.throws(() => process.kill(Number(pid), 0), { code: "ESRCH" });
});

test("a command that is missing and a ConfigMap that is missing are named in the status", async () => {
  await world.create(podOf("missing"));
  const absent = await world.until(
    "missing",
    "refused",
    (pod) => pod?.status?.containerStatuses?.[0]?.state?.waiting?.message !== undefined,
  );
  assert.match(absent?.status?.containerStatuses?.[0]?.state?.waiting?.message ?? "", /\/no\/such\/program/);
  await world.create(podOf("unset", { ...server, envFrom: [{ configMapRef: { name: "nothing" } }] }));
  const unset = await world.until(
    "unset",
    "refused",
    (pod) => pod?.status?.containerStatuses?.[0]?.state?.waiting?.reason === "CreateContainerConfigError",
  );
  assert.equal(
    unset?.status?.containerStatuses?.[0]?.state?.waiting?.message,
    'configmap "nothing" not found',
  );
});

test("restartPolicy Never: the pod fails with the command's status and stays", async () => {
  await world.create(podOf("once", { name: "crash" }, { restartPolicy: "Never" }));
  const pod = await world.until("once", "failed", (one) => one?.status?.phase === "Failed");
  assert.equal(pod?.status?.containerStatuses?.[0]?.state?.terminated?.exitCode, 4);
});
