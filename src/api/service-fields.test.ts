import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createTestApi } from "./testing.ts";
import type { Answer, TestApi } from "./testing.ts";

const SERVICES = "/api/v1/namespaces/default/services";

interface Spec {
  readonly type: string;
  readonly clusterIP?: string;
  readonly clusterIPs?: readonly string[];
  readonly ports?: readonly { readonly nodePort?: number }[];
  readonly healthCheckNodePort?: number;
  readonly [field: string]: unknown;
}
const specOf = (answer: Answer): Spec => answer.body["spec"] as Spec;
const nodePorts = (answer: Answer): (number | undefined)[] =>
  (specOf(answer).ports ?? []).map((port) => port.nodePort);

const make = (api: TestApi, name: string, spec: Record<string, unknown> = {}): Promise<Answer> =>
  api.call("POST", SERVICES, {
    metadata: { name },
    spec: { selector: { app: "a" }, ports: [{ port: 80 }], ...spec },
  });
const message = (answer: Answer): unknown => answer.body["message"];

describe("cluster addresses", () => {
  it("automatic ones come from above the first 256 and differ", async () => {
    const api = createTestApi();
    const seen = new Set<unknown>();
    for (let i = 0; i < 20; i++) {
      const { clusterIP = "", clusterIPs } = specOf(await make(api, `s${i}`));
      assert.match(clusterIP, /^10\.96\.(?:[1-9]|\d\d+)\.\d+$/);
      assert.deepEqual(clusterIPs, [clusterIP]);
      seen.add(clusterIP);
    }
    assert.equal(seen.size, 20);
  });

  it("a small range uses its lower part when the upper one is full, then is full", async () => {
    const api = createTestApi({ serviceCIDRs: ["10.0.0.0/28"] });
    for (let i = 0; i < 14; i++) assert.equal((await make(api, `s${i}`)).status, 201);
    const full = await make(api, "more");
    assert.deepEqual(
      [full.status, message(full)],
      [500, "Internal error occurred: failed to allocate a serviceIP: range is full"],
    );
  });

  it("a wanted address is given once, and again after a deletion", async () => {
    const api = createTestApi();
    assert.equal(specOf(await make(api, "a", { clusterIP: "10.96.0.10" })).clusterIP, "10.96.0.10");
    const taken = await make(api, "b", { clusterIP: "10.96.0.10" });
    assert.equal(taken.status, 422);
    assert.equal(
      message(taken),
      'Service "b" is invalid: spec.clusterIPs: Invalid value: ["10.96.0.10"]: failed to allocate IP 10.96.0.10: provided IP is already allocated',
    );
    await api.call("DELETE", `${SERVICES}/a`);
    assert.equal((await make(api, "b", { clusterIP: "10.96.0.10" })).status, 201);
  });

  for (const address of ["10.97.0.1", "10.96.0.0", "10.96.255.255"]) {
    it(`${address} is not in the range`, async () => {
      const answer = await make(createTestApi(), "a", { clusterIP: address });
      assert.equal(answer.status, 422);
      assert.match(
        String(message(answer)),
        /the provided network does not match the current range: 10\.96\.0\.0\/16/,
      );
    });
  }

  it("stay taken while a finalizer holds a deletion", async () => {
    const api = createTestApi();
    await api.call("POST", SERVICES, {
      metadata: { name: "a", finalizers: ["example.com/hold"] },
      spec: { clusterIP: "10.96.0.9", ports: [{ port: 80 }] },
    });
    await api.call("DELETE", `${SERVICES}/a`);
    assert.equal((await make(api, "b", { clusterIP: "10.96.0.9" })).status, 422);
    await api.call("PATCH", `${SERVICES}/a`, { metadata: { finalizers: null } });
    assert.equal((await make(api, "b", { clusterIP: "10.96.0.9" })).status, 201);
  });

  it("headless Services and names outside have none", async () => {
    const api = createTestApi();
    assert.deepEqual(specOf(await make(api, "h", { clusterIP: "None" })).clusterIPs, ["None"]);
    const external = specOf(await make(api, "e", { type: "ExternalName", externalName: "example.com" }));
    assert.equal(external.clusterIP, undefined);
  });

  it("a dry run takes nothing", async () => {
    const api = createTestApi();
    const body = { metadata: { name: "a" }, spec: { clusterIP: "10.96.0.9", ports: [{ port: 80 }] } };
    assert.equal((await api.call("POST", `${SERVICES}?dryRun=All`, body)).status, 201);
    assert.equal((await api.call("POST", SERVICES, body)).status, 201);
  });
});

const ports = (...list: number[]): Record<string, unknown> => ({
  type: "NodePort",
  ports: list.map((nodePort, at) => ({ name: `p${at}`, port: 80 + at, nodePort })),
});

describe("node ports", () => {
  it("are chosen above the lower band, and TCP and UDP of one port share one", async () => {
    const answer = await make(createTestApi(), "a", {
      type: "NodePort",
      ports: [
        { name: "a", port: 53 },
        { name: "b", port: 53, protocol: "UDP" },
        { name: "c", port: 80 },
      ],
    });
    const [tcp = 0, udp, other] = nodePorts(answer);
    assert.ok(tcp >= 30_086 && tcp <= 32_767);
    assert.equal(udp, tcp);
    assert.notEqual(other, tcp);
  });

  it("are refused when taken, out of range, or given twice in one Service", async () => {
    const api = createTestApi();
    assert.equal((await make(api, "a", ports(30_001))).status, 201);
    const cases = [
      [ports(30_001), "spec.ports[0].nodePort: Invalid value: 30001: provided port is already allocated"],
      [
        ports(80),
        "spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767",
      ],
      [
        ports(30_002, 30_002),
        "spec.ports[1].nodePort: Invalid value: 30002: provided port is already allocated",
      ],
    ] as const;
    for (const [spec, why] of cases) {
      const answer = await make(api, "b", spec);
      assert.deepEqual([answer.status, message(answer)], [422, `Service "b" is invalid: ${why}`]);
    }
  });

  it("of a range that is used up none is left: the Service is refused, and its address stays free", async () => {
    const api = createTestApi({ nodePorts: { first: 30_000, last: 30_002 } });
    const nodePort = { type: "NodePort", ports: [{ port: 80 }] };
    for (const name of ["a", "b", "c"]) assert.equal((await make(api, name, nodePort)).status, 201);
    const full = await make(api, "d", { ...nodePort, clusterIP: "10.96.0.77" });
    assert.deepEqual(
      [full.status, message(full)],
      [500, "Internal error occurred: failed to allocate a nodePort: range is full"],
    );
    assert.equal((await make(api, "e", { clusterIP: "10.96.0.77" })).status, 201);
    await api.call("DELETE", `${SERVICES}/b`);
    assert.equal((await make(api, "d", nodePort)).status, 201);
  });

  it("a changed one frees the former", async () => {
    const api = createTestApi();
    await make(api, "a", { type: "NodePort", ports: [{ port: 80, nodePort: 30_001 }] });
    await api.call("PATCH", `${SERVICES}/a`, { spec: { ports: [{ port: 80, nodePort: 30_002 }] } });
    assert.equal(
      (await make(api, "b", { type: "NodePort", ports: [{ port: 80, nodePort: 30_001 }] })).status,
      201,
    );
  });

  it("a load balancer need not have any", async () => {
    const answer = await make(createTestApi(), "a", {
      type: "LoadBalancer",
      allocateLoadBalancerNodePorts: false,
    });
    assert.deepEqual(nodePorts(answer), [undefined]);
  });
});

describe("the type of a Service may change", () => {
  it("ClusterIP, NodePort, LoadBalancer and back keep the address", async () => {
    const api = createTestApi();
    const address = specOf(await make(api, "a")).clusterIP;
    const put = (type: string): Promise<Answer> =>
      api.call("PUT", `${SERVICES}/a`, { metadata: { name: "a" }, spec: { type, ports: [{ port: 80 }] } });
    const [port] = nodePorts(await put("NodePort"));
    assert.ok(port !== undefined && port > 0);
    assert.deepEqual(nodePorts(await put("LoadBalancer")), [port]);
    const back = await put("ClusterIP");
    assert.deepEqual(nodePorts(back), [undefined]);
    assert.equal(specOf(back).clusterIP, address);
  });

  it("a health check port comes with the policy Local and goes with it", async () => {
    const api = createTestApi();
    const made = specOf(await make(api, "a", { type: "LoadBalancer", externalTrafficPolicy: "Local" }));
    const port = made.healthCheckNodePort ?? 0;
    assert.ok(port > 30_000 && made.ports?.[0]?.nodePort !== port);
    const cluster = await api.call("PATCH", `${SERVICES}/a`, { spec: { externalTrafficPolicy: "Cluster" } });
    assert.equal(specOf(cluster).healthCheckNodePort, undefined);
    const wanted = { type: "LoadBalancer", externalTrafficPolicy: "Local", healthCheckNodePort: port };
    assert.equal(specOf(await make(api, "b", wanted)).healthCheckNodePort, port);
    const twice = await make(api, "c", wanted);
    assert.deepEqual(
      [twice.status, message(twice)],
      [
        500,
        `Internal error occurred: failed to allocate requested HealthCheck NodePort ${port}: provided port is already allocated`,
      ],
    );
  });

  it("IPv6 is refused where there is no range of it", async () => {
    const answer = await make(createTestApi(), "a", { ipFamilies: ["IPv6"] });
    assert.equal(
      message(answer),
      'Service "a" is invalid: spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster',
    );
  });

  it("only a load balancer may have addresses in its status", async () => {
    const api = createTestApi();
    await make(api, "a");
    const status = { loadBalancer: { ingress: [{ ip: "203.0.113.1" }] } };
    const put = (): Promise<Answer> => api.call("PATCH", `${SERVICES}/a/status`, { status });
    assert.match(String(message(await put())), /may only be used when `spec\.type` is 'LoadBalancer'$/);
    await api.call("PATCH", `${SERVICES}/a`, { spec: { type: "LoadBalancer" } });
    assert.deepEqual((await put()).body["status"], {
      loadBalancer: { ingress: [{ ip: "203.0.113.1", ipMode: "VIP" }] },
    });
  });
});
