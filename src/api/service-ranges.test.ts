import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createTestApi } from "./testing.ts";
import type { Answer, TestApi } from "./testing.ts";

const SERVICES = "/api/v1/namespaces/default/services";
const CIDRS = "/apis/networking.k8s.io/v1/servicecidrs";
const ADDRESSES = "/apis/networking.k8s.io/v1/ipaddresses";
const dual = { serviceCIDRs: ["10.96.0.0/16", "fd00:10:96::/112"] };

interface Item {
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  readonly spec: Readonly<Record<string, unknown>>;
}

const make = (api: TestApi, name: string, spec: object = {}): Promise<Answer> =>
  api.call("POST", SERVICES, { metadata: { name }, spec: { ports: [{ port: 80 }], ...spec } });
const clusterIPs = ({ body }: Answer): string[] => (body["spec"] as { clusterIPs: string[] }).clusterIPs;
const list = async (api: TestApi, path: string): Promise<Item[]> =>
  (await api.call("GET", path)).body["items"] as Item[];
const names = async (api: TestApi): Promise<string[]> =>
  (await list(api, ADDRESSES)).map(({ metadata }) => metadata.name);
const conditions = ({ body }: Answer): unknown => {
  const { conditions: all } = body["status"] as {
    conditions: { type: string; status: string; reason: string }[];
  };
  return all.map(({ type, status, reason }) => `${type}=${status} ${reason}`);
};

describe("two families", () => {
  it("each has an address above the lower band of its range", async () => {
    const answer = await make(createTestApi(dual), "a", { ipFamilyPolicy: "PreferDualStack" });
    const [four = "", six = ""] = clusterIPs(answer);
    assert.match(four, /^10\.96\.(?:[1-9]|\d\d+)\.\d+$/);
    assert.match(six, /^fd00:10:96::[1-9a-f][0-9a-f]{2,3}$/);
  });

  it("a wanted pair is given once, in any spelling", async () => {
    const api = createTestApi(dual);
    const pair = { ipFamilyPolicy: "RequireDualStack", clusterIPs: ["10.96.0.9", "fd00:10:96::9"] };
    const wanted = { ...pair, clusterIP: "10.96.0.9" };
    assert.equal((await make(api, "a", wanted)).status, 201);
    const six = { clusterIP: "FD00:10:96:0::9", ipFamilies: ["IPv6"] };
    const taken = await make(api, "b", six);
    assert.equal(
      taken.body["message"],
      'Service "b" is invalid: spec.clusterIPs: Invalid value: ["FD00:10:96:0::9"]: failed to allocate IP FD00:10:96:0::9: provided IP is already allocated',
    );
    await api.call("DELETE", `${SERVICES}/a`);
    assert.equal((await make(api, "b", six)).status, 201);
  });

  it("the second address comes and goes with the policy, and is free again", async () => {
    const api = createTestApi(dual);
    const patch = (spec: object) => api.call("PATCH", `${SERVICES}/a`, { spec });
    const [four = ""] = clusterIPs(await make(api, "a"));
    const [same, six = ""] = clusterIPs(await patch({ ipFamilyPolicy: "RequireDualStack" }));
    assert.equal(same, four);
    assert.ok((await names(api)).includes(six));
    assert.deepEqual(clusterIPs(await patch({ ipFamilyPolicy: "SingleStack" })), [four]);
    assert.ok(!(await names(api)).includes(six));
    assert.equal((await make(api, "b", { clusterIP: six })).status, 201);
  });

  it("a type without address gives both back", async () => {
    const api = createTestApi(dual);
    const before = clusterIPs(await make(api, "a", { ipFamilyPolicy: "RequireDualStack" }));
    const external = { spec: { type: "ExternalName", externalName: "example.com" } };
    assert.equal((await api.call("PATCH", `${SERVICES}/a`, external)).status, 200);
    assert.deepEqual(
      (await names(api)).filter((name) => before.includes(name)),
      [],
    );
  });

  it("two ranges of one family are refused at the start", () => {
    assert.throws(
      () => createTestApi({ serviceCIDRs: ["10.96.0.0/16", "10.97.0.0/16"] }),
      /one range of IPv4/,
    );
  });
});

describe("ServiceCIDR and IPAddress objects", () => {
  it("the server's own ranges are the ServiceCIDR `kubernetes`, ready", async () => {
    const answer = await createTestApi(dual).call("GET", `${CIDRS}/kubernetes`);
    assert.deepEqual(answer.body["spec"], { cidrs: dual.serviceCIDRs });
    assert.deepEqual(conditions(answer), ["Ready=True "]);
  });

  it("each address of a Service has its IPAddress, from the answer on", async () => {
    const api = createTestApi({ kubernetesEndpoint: { address: "172.30.0.1", port: 6443 } });
    const [address = ""] = clusterIPs(await make(api, "a"));
    assert.deepEqual(await names(api), ["10.96.0.1", address]);
    const [, own] = await list(api, ADDRESSES);
    assert.deepEqual(own?.spec, { parentRef: { resource: "services", namespace: "default", name: "a" } });
    assert.deepEqual(own.metadata.labels, {
      "ipaddress.kubernetes.io/ip-family": "IPv4",
      "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
    });
  });

  it("an IPAddress that somebody deletes comes back; one of no Service goes", async () => {
    const api = createTestApi();
    const [address = ""] = clusterIPs(await make(api, "a"));
    await api.call("DELETE", `${ADDRESSES}/${address}`);
    const parentRef = { resource: "services", namespace: "default", name: "ghost" };
    await api.call("POST", ADDRESSES, { metadata: { name: "10.96.0.77" }, spec: { parentRef } });
    assert.deepEqual(await names(api), [address]);
  });

  it("an IPAddress of something else keeps its address from Services", async () => {
    const api = createTestApi();
    const parentRef = { group: "example.com", resource: "gateways", namespace: "default", name: "g" };
    await api.call("POST", ADDRESSES, { metadata: { name: "10.96.0.77" }, spec: { parentRef } });
    assert.equal((await make(api, "a", { clusterIP: "10.96.0.77" })).status, 422);
    await api.call("DELETE", `${ADDRESSES}/10.96.0.77`);
    assert.equal((await make(api, "a", { clusterIP: "10.96.0.77" })).status, 201);
  });

  it("a further range is used when the first is full", async () => {
    const api = createTestApi({ serviceCIDRs: ["10.0.0.0/30"] });
    for (const name of ["a", "b"]) assert.equal((await make(api, name)).status, 201);
    assert.equal((await make(api, "c")).status, 500);
    await api.call("POST", CIDRS, { metadata: { name: "more" }, spec: { cidrs: ["10.0.1.0/24"] } });
    assert.match(clusterIPs(await make(api, "c"))[0] ?? "", /^10\.0\.1\./);
  });

  it("a range that is deleted takes no Services, and goes with its last address", async () => {
    const api = createTestApi();
    const more = `${CIDRS}/more`;
    await api.call("POST", CIDRS, { metadata: { name: "more" }, spec: { cidrs: ["10.0.1.0/24"] } });
    await make(api, "a", { clusterIP: "10.0.1.9" });
    await api.call("DELETE", more);
    assert.deepEqual(conditions(await api.call("GET", more)), ["Ready=False Terminating"]);
    assert.equal((await make(api, "b", { clusterIP: "10.0.1.10" })).status, 422);
    const labelled = await api.call("PATCH", `${SERVICES}/a`, { metadata: { labels: { still: "mine" } } });
    assert.deepEqual(clusterIPs(labelled), ["10.0.1.9"]);
    await api.call("DELETE", `${SERVICES}/a`);
    assert.equal((await api.call("GET", more)).status, 404);
  });

  it("kubectl sees what an address belongs to", async () => {
    const api = createTestApi({ kubernetesEndpoint: { address: "172.30.0.1", port: 6443 } });
    const accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
    const rowOf = async (path: string): Promise<unknown> => {
      const { rows } = (await api.call("GET", path, undefined, { accept })).body as {
        rows: { cells: unknown[] }[];
      };
      return rows[0]?.cells.slice(0, 2);
    };
    assert.deepEqual(await rowOf(ADDRESSES), ["10.96.0.1", "services/default/kubernetes"]);
    assert.deepEqual(await rowOf(CIDRS), ["kubernetes", "10.96.0.0/16"]);
  });
});
