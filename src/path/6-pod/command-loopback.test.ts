import assert from "node:assert/strict";
import { createServer } from "node:net";
import { test } from "node:test";
import { createPortTable, layOut, portIn } from "#kernel";
import type { LoopbackMap } from "#kernel";
import { confined, listenElsewhere } from "./command-loopback.ts";
import type { Port } from "./pod-object.ts";

const tcp = (port: number): Port => ({ port, protocol: "TCP" });

function placeAt(address: string) {
  const ports = { TCP: createPortTable(), UDP: createPortTable() };
  const map: LoopbackMap = { networks: layOut(0, ["10.244.0.0/16"]), moved: true, ports };
  const container = {
    name: "main",
    ports: [{ containerPort: 80, name: "web-http" }, { containerPort: 9090 }],
  };
  return { ports, container, at: { name: "pod", address, map }, place: { address, container } };
}

test("a command is told its pod's image and a port for each of its container's", async () => {
  const { at, ports, place } = placeAt("10.244.0.5");
  const { variables } = await listenElsewhere({ ...place, ports: [tcp(80), tcp(9090)] }, at);
  assert.equal(variables["HOST"], "127.4.0.5");
  assert.equal(variables["PORT"], variables["PORT_80"]);
  assert.equal(variables["PORT_WEB_HTTP"], variables["PORT_80"]);
  assert.notEqual(variables["PORT_9090"], variables["PORT_80"]);
  assert.equal(String(portIn(ports.TCP, "10.244.0.5", 80)), variables["PORT"]);
});

test("the ports are free on all addresses, and no two are the same", async (t) => {
  const { at, place } = placeAt("10.244.0.5");
  const ports = Array.from({ length: 20 }, (_, i) => tcp(8000 + i));
  const { variables } = await listenElsewhere({ ...place, ports }, at);
  const told = ports.map(({ port }) => Number(variables[`PORT_${port}`]));
  assert.equal(new Set(told).size, 20);
  const server = createServer().listen(told[0]);
  t.after(() => server.close());
  await new Promise((resolve, reject) => server.once("listening", resolve).once("error", reject));
});

test("when it ends nothing leads there any more", async () => {
  const { at, ports, place } = placeAt("10.244.0.5");
  const listening = await listenElsewhere({ ...place, ports: [tcp(80)] }, at);
  listening.close();
  assert.equal(portIn(ports.TCP, "10.244.0.5", 80), undefined);
});

test("a container without ports is told its address only", async () => {
  const { at, place } = placeAt("10.244.0.5");
  assert.deepEqual((await listenElsewhere({ ...place, ports: [] }, at)).variables, { HOST: "127.4.0.5" });
});

const isRoot = process.getuid?.() === 0;

test("whoever can gives up all rights; whoever cannot gains none", () => {
  const none = confined(["/bin/true", "-x"], "CapEff:\t0000000000000000\n");
  assert.deepEqual(none, ["--no-new-privs", "--pdeathsig", "KILL", "--", "/bin/true", "-x"]);
  const all = confined(["/bin/true"], "CapEff:\t000001ffffffffff\n");
  assert.equal(all.includes("--reuid"), isRoot);
  assert.equal(all.includes("--bounding-set"), isRoot);
});
