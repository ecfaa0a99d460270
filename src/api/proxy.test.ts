import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { connect } from "node:net";
import { after, before, describe, it } from "node:test";
import { createTestApi } from "./testing.ts";
import type { TestApi } from "./testing.ts";

/** A stand-in for whatever listens in nodes and pods: tells what it was asked. */
function answer(request: IncomingMessage, response: ServerResponse): void {
  if (request.url?.includes("follow=true") === true) {
    response.writeHead(200, { "content-type": "text/plain" });
    response.write("first\n");
    setImmediate(() => response.end("second\n"));
    return;
  }
  response.writeHead(request.url === "/teapot" ? 418 : 200, {
    "content-type": "application/json",
    connection: "close",
  });
  response.end(
    JSON.stringify({
      url: request.url,
      authorization: request.headers.authorization ?? "",
      host: request.headers.host,
    }),
  );
}

describe("the way to nodes and pods", () => {
  let target: Server;
  let api: TestApi;
  const dialled: string[] = [];

  before(async () => {
    target = createServer(answer);
    target.listen(0, "127.0.0.1");
    await once(target, "listening");
    const address = target.address();
    assert.ok(typeof address === "object" && address !== null);
    const { port } = address;
    api = createTestApi({
      debugToken: "secret",
      dial: (host, wanted) => {
        dialled.push(`${host}:${wanted}`);
        return connect(port, "127.0.0.1");
      },
    });
    await api.call("POST", "/api/v1/nodes", {
      metadata: { name: "node-a" },
      status: { addresses: [{ type: "InternalIP", address: "172.30.0.11" }] },
    });
    for (const [namespace, name, labels] of [
      ["default", "web", {}],
      ["default", "liar", { "inroad.dev/component": "dns" }],
      ["kube-system", "dns", { "inroad.dev/component": "dns" }],
    ] as const) {
      const containers = [{ name: "c", image: "x", ports: [{ name: "http", containerPort: 8080 }] }];
      const path = `/api/v1/namespaces/${namespace}/pods`;
      await api.call("POST", path, { metadata: { name, labels }, spec: { nodeName: "node-a", containers } });
      await api.call("PATCH", `${path}/${name}/status`, {
        status: { podIP: "10.244.0.5", podIPs: [{ ip: "10.244.0.5" }] },
      });
    }
  });
  after(() => {
    target.closeAllConnections();
    target.close();
  });

  const POD = "/api/v1/namespaces/default/pods";
  const SYSTEM = "/api/v1/namespaces/kube-system/pods";
  const cases: readonly (readonly [path: string, dialled: string, url: string, token: boolean])[] = [
    ["/api/v1/nodes/node-a/proxy/state?x=1", "172.30.0.11:10250", "/state?x=1", true],
    ["/api/v1/nodes/node-a:9100/proxy/metrics", "172.30.0.11:9100", "/metrics", false],
    [`${POD}/web/proxy`, "10.244.0.5:8080", "/", false],
    [`${POD}/web:http/proxy/a%2Fb`, "10.244.0.5:8080", "/a%2Fb", false],
    [`${POD}/web:10254/proxy/x`, "10.244.0.5:10254", "/x", false],
    [`${POD}/liar:10254/proxy/x`, "10.244.0.5:10254", "/x", false],
    [`${SYSTEM}/dns:10254/proxy/x`, "10.244.0.5:10254", "/x", true],
    [`${SYSTEM}/http:dns:80/proxy/x`, "10.244.0.5:80", "/x", false],
  ];
  for (const [path, to, url, token] of cases) {
    it(`${path} asks ${to}${url} ${token ? "with" : "without"} the debug token`, async () => {
      dialled.length = 0;
      const got = await api.call("GET", path, undefined, { authorization: "Bearer of-the-client" });
      assert.deepEqual(dialled, [to]);
      assert.deepEqual(got.body, { url, authorization: token ? "Bearer secret" : "", host: to });
    });
  }

  it("the answer's status is passed on", async () => {
    assert.equal((await api.call("GET", `${POD}/web/proxy/teapot`)).status, 418);
  });

  it("other methods than GET are refused", async () => {
    assert.equal((await api.call("POST", `${POD}/web/proxy/x`, {})).status, 405);
  });

  it("a pod without address, an absent one and a dead end are told apart", async () => {
    await api.call("POST", POD, {
      metadata: { name: "new" },
      spec: { containers: [{ name: "c", image: "x" }] },
    });
    const fresh = await api.call("GET", `${POD}/new/proxy/`);
    assert.deepEqual(
      [fresh.status, fresh.body["message"]],
      [503, "error trying to reach service: pod new has no address yet"],
    );
    assert.equal((await api.call("GET", `${POD}/absent/proxy/`)).status, 404);
    assert.equal((await createTestApi().call("GET", "/api/v1/nodes/node-a/proxy/")).status, 404);
  });

  it("logs are asked of the pod's node and stream while they are followed", async () => {
    dialled.length = 0;
    const got = await api.call("GET", `${POD}/web/log?container=c&tailLines=5`);
    assert.deepEqual(dialled, ["172.30.0.11:10250"]);
    assert.equal(got.body["url"], "/containerLogs/default/web/c?tailLines=5");
    assert.equal(got.body["authorization"], "Bearer secret");
    const followed = await api.call("GET", `${POD}/web/log?follow=true`);
    assert.equal(followed.text, "first\nsecond\n");
  });

  it("logs of a container that is not there", async () => {
    const got = await api.call("GET", `${POD}/web/log?container=nope`);
    assert.deepEqual([got.status, got.body["message"]], [400, "container nope is not valid for pod web"]);
  });
});
