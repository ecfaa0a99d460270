import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import dgram from "node:dgram";
import { once } from "node:events";
import { udpSocket } from "#kernel";
import { ask, debugToken, isReady, podOf, resource, startWorld } from "./pod-fixture.ts";
import type { PodWorld } from "./pod-fixture.ts";

let world: PodWorld;
before(async () => {
  world = await startWorld({
    components: {
      echo: {
        script: new URL("pod-component.ts", import.meta.url),
        data: ({ name, address }) => ({ name, address }),
      },
    },
  });
});
after(() => world.close());

const nodeA = () => world.node("node-a").ns;
const bearer = { authorization: `Bearer ${debugToken}` };

test("the node is announced with address, pod network, tunnel end and Ready", async () => {
  const node = await world.client.get(resource("v1", "Node"), "node-a");
  const { spec, status, metadata } = node as unknown as {
    spec: { podCIDR: string };
    status: { conditions: { type: string; status: string }[]; addresses: unknown[] };
    metadata: { annotations: Record<string, string> };
  };
  assert.equal(spec.podCIDR, "10.244.0.0/24");
  assert.equal(status.conditions.find(({ type }) => type === "Ready")?.status, "True");
  assert.deepEqual(status.addresses[0], { type: "InternalIP", address: "172.30.0.11" });
  assert.match(metadata.annotations["flannel.alpha.coreos.com/backend-data"] ?? "", /VtepMAC/);
});

test("the lease of the node is renewed", async () => {
  const lease = resource("coordination.k8s.io/v1", "Lease");
  const renewed = async (): Promise<unknown> => {
    const object = await world.client.get(lease, "node-a", "kube-node-lease");
    return (object?.["spec"] as { renewTime?: string } | undefined)?.renewTime;
  };
  const deadline = Date.now() + 5000;
  const first = await renewed();
  while ((await renewed()) === first && Date.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 50));
  assert.notEqual(await renewed(), first);
});

test("a stand-in becomes Running 1/1 and answers who it is and what it got, on one line", async () => {
  await world.create(podOf("one"));
  const { pod, address } = await world.ready("one");
  assert.equal(pod.status?.phase, "Running");
  const [status] = pod.status?.containerStatuses ?? [];
  assert.deepEqual([status?.ready, status?.restartCount, status?.started], [true, 0, true]);
  assert.equal(pod.status?.hostIP, "172.30.0.11");
  const { text } = await ask(nodeA(), address, 8080, "/a/b?c=d", { headers: { "X-Thing": "yes" } });
  assert.equal(text.indexOf("\n"), text.length - 1);
  const { headers, peer, time, ...rest } = JSON.parse(text) as Record<string, unknown>;
  assert.deepEqual(rest, {
    pod: "one",
    namespace: "default",
    node: "node-a",
    address,
    container: "app",
    containerPort: 8080,
    method: "GET",
    path: "/a/b?c=d",
    httpVersion: "1.1",
    bodyBytes: 0,
  });
  assert.equal((headers as Record<string, string>)["x-thing"], "yes");
  assert.equal((peer as { address: string }).address, "172.30.0.11");
  assert.ok(!Number.isNaN(Date.parse(String(time))));
});

test("a pod on the other node answers through the overlay", async () => {
  await world.create(podOf("near", {}));
  await world.create(podOf("far", {}, { nodeName: "node-b" }));
  const { address } = await world.ready("far");
  await world.ready("near");
  const answer = JSON.parse((await ask(nodeA(), address, 8080, "/")).text) as {
    node: string;
    peer: { address: string };
  };
  assert.deepEqual([answer.node, answer.peer.address], ["node-b", "10.244.0.0"]);
});

test("a stand-in listens on a Service's numeric target port that the pod does not declare, once the Service exists", async () => {
  await world.create(podOf("undeclared", { ports: [] }));
  const { address } = await world.ready("undeclared");
  await assert.rejects(ask(nodeA(), address, 9000, "/"), { code: "ECONNREFUSED" });
  await world.apply(resource("v1", "Service"), {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "undeclared", namespace: "default" },
    spec: { selector: { app: "undeclared" }, ports: [{ port: 80, targetPort: 9000 }] },
  });
  const deadline = Date.now() + 5000;
  let status = 0;
  while (status !== 200 && Date.now() < deadline) {
    status = await ask(nodeA(), address, 9000, "/").then(
      (answer) => answer.status,
      () => 0,
    );
  }
  assert.equal(status, 200);
});

test("a UDP port answers datagrams", async () => {
  await world.create(podOf("udp", { ports: [{ containerPort: 5000, protocol: "UDP" }] }));
  const { address } = await world.ready("udp");
  const socket = dgram.createSocket("udp4");
  socket.bind({ fd: udpSocket(nodeA(), "0.0.0.0", 0) });
  socket.send("12345", 5000, address);
  const [text] = await once(socket, "message");
  socket.close();
  assert.equal((JSON.parse(String(text)) as { bytes: number }).bytes, 5);
});

test("told by control requests: slow, failing, not ready, and it crashes and is started again", async () => {
  await world.create(
    podOf("told", {
      readinessProbe: { httpGet: { path: "/", port: 8080 }, periodSeconds: 1, failureThreshold: 1 },
    }),
  );
  const { address } = await world.ready("told");
  const behave = (query: string) =>
    ask(nodeA(), address, 8080, `/_inroad/behave?${query}`, { method: "POST" });
  assert.equal(
    (await ask(nodeA(), address, 8080, "/", { headers: { "x-inroad-status": "418" } })).status,
    418,
  );
  assert.equal((await behave("status=9")).status, 400);
  await behave("ready=false");
  await world.until("told", "unready", (pod) => !isReady(pod));
  assert.equal((await ask(nodeA(), address, 8080, "/")).status, 503);
  await behave("ready=true");
  await world.ready("told");
  await ask(nodeA(), address, 8080, "/_inroad/exit?code=3", { method: "POST" });
  const pod = await world.until(
    "told",
    "restarted",
    (one) => one?.status?.containerStatuses?.[0]?.restartCount === 1 && isReady(one),
  );
  assert.equal(pod?.status?.containerStatuses?.[0]?.lastState?.terminated?.exitCode, 3);
  await ask(nodeA(), address, 8080, "/_inroad/exit?code=3", { method: "POST" });
  const waiting = await world.until(
    "told",
    "in back-off",
    (one) => one?.status?.containerStatuses?.[0]?.state?.waiting !== undefined,
  );
  const { reason, message } = waiting?.status?.containerStatuses?.[0]?.state?.waiting ?? {};
  assert.equal(reason, "CrashLoopBackOff");
  assert.match(message ?? "", /^back-off 10s restarting failed container=app pod=told_default\(/);
});

test("a failing readiness probe keeps a pod unready with Kubernetes' words; a liveness failure restarts it", async () => {
  await world.create(
    podOf(
      "probed",
      {
        readinessProbe: {
          httpGet: { path: "/", port: 8080, httpHeaders: [{ name: "x-inroad-status", value: "500" }] },
          periodSeconds: 1,
        },
        livenessProbe: {
          httpGet: { path: "/", port: 8080, httpHeaders: [{ name: "x-inroad-status", value: "500" }] },
          periodSeconds: 1,
          failureThreshold: 1,
        },
        ports: [{ containerPort: 8080 }],
      },
      { terminationGracePeriodSeconds: 1 },
    ),
  );
  const pod = await world.until(
    "probed",
    "restarted",
    (one) => (one?.status?.containerStatuses?.[0]?.restartCount ?? 0) > 0,
  );
  const ready = pod?.status?.conditions?.find(({ type }) => type === "ContainersReady");
  assert.equal(ready?.status, "False");
  assert.equal(ready.message, "containers with unready status: [app]");
});

test("exec probes count as passed and the pod says so", async () => {
  await world.create(podOf("exec", { readinessProbe: { exec: { command: ["/bin/false"] } } }));
  const { pod } = await world.ready("exec");
  const condition = pod.status?.conditions?.find(({ type }) => type === "inroad.dev/Simulated");
  assert.equal(condition?.message, "counts as passed: container app: exec readiness probe");
});

test("init containers count as completed, sidecars run", async () => {
  await world.create(
    podOf(
      "inits",
      {},
      {
        initContainers: [
          { name: "prepare", image: "example/init" },
          { name: "mesh", image: "example/mesh", restartPolicy: "Always", ports: [{ containerPort: 15000 }] },
        ],
      },
    ),
  );
  const { pod, address } = await world.ready("inits");
  assert.deepEqual(
    pod.status?.initContainerStatuses?.map(({ name, ready, started }) => [name, ready, started]),
    [
      ["prepare", true, false],
      ["mesh", true, true],
    ],
  );
  assert.equal(
    (JSON.parse((await ask(nodeA(), address, 15000, "/")).text) as { container: string }).container,
    "mesh",
  );
});

test("a deleted pod drains, then it, its address and its listener are gone", async () => {
  await world.create(podOf("leaving"));
  const { address } = await world.ready("leaving");
  await world.remove("leaving");
  assert.equal((await ask(nodeA(), address, 8080, "/")).status, 200, "serves while it drains");
  await world.until("leaving", "gone", (pod) => pod === undefined);
  await assert.rejects(ask(nodeA(), address, 8080, "/"), { code: "EHOSTUNREACH" });
});

test("a stand-in that ignores SIGTERM is killed when the grace period is over", async () => {
  await world.create(
    podOf("stubborn", {}, {}, { annotations: { "inroad.dev/stand-in": "onSigterm=ignore" } }),
  );
  await world.ready("stubborn");
  const started = Date.now();
  await world.remove("stubborn", 1);
  await world.until("stubborn", "gone", (pod) => pod === undefined);
  const took = Date.now() - started;
  assert.ok(took >= 900 && took < 4000, `${took} ms`);
});

test("a component is a Worker in its pod's namespace: ready when it says so, started again after a crash", async () => {
  const labels = { "inroad.dev/component": "echo" };
  await world.create(podOf("comp", {}, { nodeName: "node-b" }, { labels, namespace: "kube-system" }));
  const { address } = await world.ready("kube-system/comp");
  const first = JSON.parse((await ask(nodeA(), address, 8080, "/")).text) as Record<string, unknown>;
  assert.deepEqual(first, { name: "comp", address, sees: [address] });
  await ask(nodeA(), address, 8080, "/crash").catch(() => undefined);
  const pod = await world.until(
    "kube-system/comp",
    "restarted",
    (one) => one?.status?.containerStatuses?.[0]?.restartCount === 1 && isReady(one),
  );
  assert.match(pod?.status?.containerStatuses?.[0]?.lastState?.terminated?.message ?? "", /asked to crash/);
  await world.remove("kube-system/comp", 5);
  await world.until("kube-system/comp", "gone", (one) => one === undefined);
});

test("outside of the system's namespaces the component label starts nothing of ours", async () => {
  await world.create(podOf("liar", {}, {}, { labels: { "inroad.dev/component": "echo" } }));
  const { address, pod } = await world.ready("liar");
  assert.match(pod.status?.containerStatuses?.[0]?.imageID ?? "", /^inroad:\/\/stand-in\//);
  const answer = JSON.parse((await ask(nodeA(), address, 8080, "/")).text) as { pod: string };
  assert.equal(answer.pod, "liar");
});

test("pods that were marked as lost with their node are ready again when it comes back", async () => {
  const nodes = resource("v1", "Node");
  const setReady = (status: string) =>
    world.client.patch(
      nodes,
      "node-a",
      undefined,
      { status: { conditions: [{ type: "Ready", status, reason: "Test" }] } },
      { type: "strategic", subresource: "status" },
    );
  await world.create(podOf("patient"));
  await world.ready("patient");
  await setReady("Unknown");
  await world.client.patch(
    resource("v1", "Pod"),
    "patient",
    "default",
    { status: { conditions: [{ type: "Ready", status: "False", reason: "NodeNotReady" }] } },
    { type: "strategic", subresource: "status" },
  );
  assert.equal(isReady(await world.get("patient")), false);
  await setReady("True");
  const pod = await world.until("patient", "ready again", isReady);
  const ready = pod?.status?.conditions?.find(({ type }) => type === "Ready");
  assert.equal(ready?.reason, undefined);
});

test("the debug endpoint shows pods, logs, conntrack, routes and accounts to holders of the token only", async () => {
  await world.create(podOf("watched"));
  const { address } = await world.ready("watched");
  const agent = (path: string, headers: Record<string, string> = bearer) =>
    ask(nodeA(), "172.30.0.11", 10250, path, { headers });
  await ask(nodeA(), address, 8080, "/hello", { headers: { "x-request-id": "r-1" } });
  assert.equal((await agent("/healthz", {})).text, "ok");
  assert.equal((await agent("/pods", {})).status, 401);
  assert.ok((await agent("/pods")).text.includes('"watched"'));
  assert.match(
    (await agent("/containerLogs/default/watched/app?tailLines=1")).text,
    /^GET \/hello 200 from 172\.30\.0\.11\n$/,
  );
  assert.equal((await agent("/containerLogs/default/watched/none")).status, 400);
  const account = JSON.parse(
    (await agent("/debug/account?namespace=default&pod=watched&requestId=r-1")).text,
  ) as { requests: { path: string }[] };
  assert.deepEqual(
    account.requests.map(({ path }) => path),
    ["/hello"],
  );
  assert.equal(
    (JSON.parse((await agent("/debug/route?address=10.244.1.2")).text) as { device: string }).device,
    "flannel.1",
  );
  assert.equal((await agent("/debug/route?address=10.244.9.9")).status, 404);
  const found = JSON.parse(
    (await agent(`/debug/conntrack?protocol=tcp&destination=${address}&destinationPort=8080`)).text,
  ) as { entries: unknown[] };
  assert.ok(found.entries.length > 0);
});
