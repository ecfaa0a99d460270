/** `inroad dns` beside a cluster that is not ours: only an API server and a kubeconfig. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import {
  closeNetNs,
  createNetNs,
  ipBatch,
  run,
  spawnIn,
  tcpConnect,
  tcpListener,
  udpSocket,
  type NetNs,
} from "#kernel";
import { queryFor, socketCarrier, socketsFrom } from "#serve/dns";
import { decodeMessage, formatAnswer } from "#wire/dns";
import { createTestApi } from "../../src/api/testing.ts";
import { createAuthority, kubeconfigText } from "../../src/cli/identity.ts";
import { serveApi } from "../../src/cluster/api-listener.ts";
import { addresses } from "../../src/cluster/config.ts";
import { eventually } from "../support/live.ts";

const UPSTREAM = "192.0.2.53";
const svc = "default.svc.cluster.local.";

/** A machine with an API server at the control address, and a kubeconfig for it. */
async function machine(t: TestContext) {
  const ns = createNetNs("machine");
  const folder = mkdtempSync(join(tmpdir(), "inroad-dns-"));
  await ipBatch(ns, [
    "link set lo up",
    `address add ${addresses.control}/32 dev lo`,
    `address add ${UPSTREAM}/32 dev lo`,
  ]);
  const { identity, admin } = await createAuthority();
  const api = createTestApi({ authenticate: { tokens: new Map(), clientCA: identity.caCertificate } });
  const listener = serveApi(api.server, identity, tcpListener(ns, addresses.control, addresses.apiPort));
  await listener.listening;
  const kubeconfig = join(folder, "kubeconfig");
  const text = kubeconfigText("test", addresses.apiPort, identity, admin);
  writeFileSync(kubeconfig, text.replace("127.0.0.1", addresses.control));
  t.after(() => {
    listener.close();
    api.server.close();
    rmSync(folder, { recursive: true });
    closeNetNs(ns);
  });
  return { ns, api, kubeconfig };
}

type Api = ReturnType<typeof createTestApi>;

async function create(api: Api, path: string, object: object): Promise<void> {
  const { status, text } = await api.call("POST", path, object);
  assert.equal(status, 201, text);
}

/** Starts `inroad dns` and waits until it says that names are served. */
async function start(t: TestContext, ns: NetNs, ...args: readonly string[]) {
  const child = spawnIn(ns, process.execPath, ["bin/inroad.js", "dns", ...args], {
    stdio: ["ignore", "inherit", "pipe"],
  });
  t.after(() => child.kill("SIGKILL"));
  let said = "";
  await new Promise<void>((resolve, reject) => {
    child.stderr?.on("data", (bytes) => {
      said += String(bytes);
      if (/(names are|zone is) served/.test(said)) resolve();
    });
    child.once("exit", (code) => reject(new Error(`dns ended with ${code}: ${said}`)));
  });
  return { child, said: () => said };
}

/** `NOERROR aa`, and the records of the answer. */
async function ask(ns: NetNs, name: string, type = "A", transport: "udp" | "tcp" = "udp"): Promise<string[]> {
  const sockets = socketsFrom({
    udpDescriptor: () => udpSocket(ns, "0.0.0.0", 0),
    tcpConnect: (address, port) => tcpConnect(ns, address, port),
  });
  const carry = socketCarrier({ sockets, timeoutMs: 3000 });
  const reply = await carry({ address: "127.0.0.1", port: 53 }, queryFor({ name, type }), transport);
  return formatAnswer(decodeMessage(reply));
}

function get(ns: NetNs, port: number, path: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = tcpConnect(ns, "127.0.0.1", port);
    let answer = "";
    socket.on("connect", () => socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`));
    socket.on("data", (bytes) => (answer += String(bytes)));
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "error"));
    socket.on("close", () => resolve(answer));
  });
}

const service = (name: string, spec: object, annotations: Readonly<Record<string, string>> = {}) => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name, annotations },
  spec: { ports: [{ name: "http", port: 80 }], ...spec },
});

const slice = {
  apiVersion: "discovery.k8s.io/v1",
  kind: "EndpointSlice",
  metadata: { name: "db-1", labels: { "kubernetes.io/service-name": "db" } },
  addressType: "IPv4",
  ports: [{ name: "http", port: 80, protocol: "TCP" }],
  endpoints: [{ addresses: ["10.244.0.9"], hostname: "db-0", conditions: { ready: true } }],
};

const services = "/api/v1/namespaces/default/services";
const slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";

test("names follow the API server; a StatefulSet's name is there as soon as its slice is", async (t) => {
  const { ns, api, kubeconfig } = await machine(t);
  await create(api, services, service("api", { clusterIP: "10.96.0.77" }));
  await create(api, services, service("db", { clusterIP: "None" }));
  const args = ["--kubeconfig", kubeconfig, "--listen", "127.0.0.1", "--upstream", "none", "--lameduck", "0"];
  const { child, said } = await start(t, ns, ...args, "--ttl", "9", "--log", "denial");
  assert.deepEqual(await ask(ns, `api.${svc}`), ["NOERROR aa", `api.${svc} 9 IN A 10.96.0.77`]);
  assert.deepEqual(await ask(ns, `api.${svc}`, "A", "tcp"), ["NOERROR aa", `api.${svc} 9 IN A 10.96.0.77`]);
  assert.match((await ask(ns, `db-0.db.${svc}`))[0] ?? "", /^NXDOMAIN/);
  assert.match(said(), /"A IN db-0\.db\.default\.svc\.cluster\.local\. udp .*" NXDOMAIN/);
  await create(api, slices, slice);
  await eventually(async () =>
    assert.deepEqual(await ask(ns, `db-0.db.${svc}`), ["NOERROR aa", `db-0.db.${svc} 9 IN A 10.244.0.9`]),
  );
  assert.deepEqual(await ask(ns, "www.example.com."), ["SERVFAIL"]);
  assert.match(
    await get(ns, 9153, "/metrics"),
    /coredns_dns_requests_total\{server="dns:\/\/:53",zone="cluster.local."/,
  );
  assert.match(await get(ns, 8080, "/health"), /^HTTP\/1.1 200 /);
  assert.match(await get(ns, 8181, "/ready"), /^HTTP\/1.1 200 /);
  child.kill("SIGTERM");
  assert.deepEqual(await once(child, "exit"), [0, null]);
});

test("other names go to the upstream, those of a stub domain to its own", async (t) => {
  const { ns, kubeconfig } = await machine(t);
  const { startDnsServer } = await import("#serve/dns");
  const { silentLog } = await import("#lib/log");
  const serve = async (port: number, address: string) => {
    const server = await startDnsServer({
      udp: { fd: udpSocket(ns, UPSTREAM, port) },
      log: silentLog,
      handler: ({ question: { name } }) => ({ rcode: 0, answers: [{ name, ttl: 60, type: "A", address }] }),
    });
    t.after(() => server.close());
  };
  await serve(53, "198.51.100.1");
  await serve(5353, "198.51.100.2");
  const args = ["--kubeconfig", kubeconfig, "--listen", "127.0.0.1", "--lameduck", "0"];
  await start(t, ns, ...args, "--upstream", UPSTREAM, "--stub", `corp.example=${UPSTREAM}:5353`);
  assert.deepEqual(await ask(ns, "www.example.com."), ["NOERROR", "www.example.com. 60 IN A 198.51.100.1"]);
  assert.deepEqual(await ask(ns, "a.corp.example."), ["NOERROR", "a.corp.example. 60 IN A 198.51.100.2"]);
  assert.match(
    await get(ns, 9153, "/metrics"),
    /coredns_proxy_request_duration_seconds_count\{proxy_name="forward",to="192.0.2.53:5353",rcode="NOERROR"\} 1/,
  );
});

test("the public zone has the names that a LoadBalancer Service announces, and refuses all others", async (t) => {
  const { ns, api, kubeconfig } = await machine(t);
  const annotations = {
    "external-dns.kubernetes.io/hostname": "www.example.com",
    "external-dns.kubernetes.io/ttl": "120",
  };
  await create(api, services, service("web", { type: "LoadBalancer", clusterIP: "10.96.0.78" }, annotations));
  const status = { loadBalancer: { ingress: [{ ip: "203.0.113.9" }] } };
  assert.equal((await api.call("PATCH", `${services}/web/status`, { status })).status, 200);
  const args = ["--kubeconfig", kubeconfig, "--listen", "127.0.0.1", "--public", "--zone", "example.com"];
  const { child } = await start(t, ns, ...args);
  assert.deepEqual(await ask(ns, "www.example.com."), [
    "NOERROR aa",
    "www.example.com. 120 IN A 203.0.113.9",
  ]);
  assert.match((await ask(ns, "none.example.com."))[0] ?? "", /^NXDOMAIN aa/);
  assert.deepEqual(await ask(ns, "www.example.net."), ["REFUSED"]);
  assert.deepEqual(await ask(ns, `api.${svc}`), ["REFUSED"]);
  child.kill("SIGTERM");
  assert.deepEqual(await once(child, "exit"), [0, null]);
});

test("wrong options are said with what to do", async (t) => {
  const { ns, kubeconfig } = await machine(t);
  for (const [args, expected] of [
    [[], /needs the way to an API server\n {2}name a kubeconfig file/],
    [["--kubeconfig", "/nonexistent"], /cannot read \/nonexistent/],
    [
      ["--kubeconfig", kubeconfig, "--upstream", "dns.example"],
      /"dns.example" is not an address\n {2}write an IP/,
    ],
    [
      ["--kubeconfig", kubeconfig, "--ttl", "9999"],
      /--ttl: "9999" is no number of seconds\n {2}write a whole number from 0 to 3600/,
    ],
    [["--kubeconfig", kubeconfig, "--stub", "a"], /DOMAIN=ADDRESS/],
  ] as const) {
    const result = await run(ns, process.execPath, ["bin/inroad.js", "dns", ...args]);
    assert.equal(result.code, 2, result.stderr);
    assert.match(result.stderr, expected);
  }
});
