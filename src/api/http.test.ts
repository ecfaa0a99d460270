import assert from "node:assert/strict";
import { once } from "node:events";
import { request as httpsRequest, createServer } from "node:https";
import type { RequestOptions, Server } from "node:https";
import { after, before, describe, it } from "node:test";
import { createCa, issueCertificate } from "#lib/pki";
import type { Certificate } from "#lib/pki";
import { MAX_BODY } from "./handler.ts";
import { createTestApi } from "./testing.ts";
import type { TestApi } from "./testing.ts";

interface Reply {
  readonly status: number;
  readonly text: string;
}

const client = (signer: Certificate, usage: "client" | "server"): Promise<Certificate> =>
  issueCertificate(signer, {
    commonName: "admin",
    organizations: ["system:masters"],
    usages: [usage],
    days: 1,
  });

describe("over HTTPS", () => {
  let server: Server;
  let api: TestApi;
  let port = 0;
  let ca: Certificate;
  let stranger: Certificate;

  before(async () => {
    ca = await createCa({ commonName: "cluster", days: 1 });
    stranger = await createCa({ commonName: "cluster", days: 1 });
    const own = await issueCertificate(ca, {
      commonName: "api",
      ipAddresses: ["127.0.0.1"],
      usages: ["server"],
      days: 1,
    });
    api = createTestApi({
      authenticate: {
        tokens: new Map([
          ["good-token", { name: "robot", groups: ["system:masters"] }],
          [
            "reader",
            {
              name: "system:serviceaccount:kube-system:kube-dns",
              groups: ["system:serviceaccounts"],
            },
          ],
        ]),
        clientCA: ca.certificate,
      },
    });
    server = createServer(
      { key: own.key, cert: own.certificate, requestCert: true, rejectUnauthorized: false },
      (request, response) => api.server.handle(request, response),
    );
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    assert.ok(typeof address === "object" && address !== null);
    port = address.port;
  });
  after(() => {
    api.server.close();
    server.closeAllConnections();
    server.close();
  });

  const ask = async (path: string, options: RequestOptions = {}, body?: string | Buffer): Promise<Reply> => {
    const request = httpsRequest({
      host: "127.0.0.1",
      port,
      path,
      ca: ca.certificate,
      agent: false,
      ...options,
    });
    request.end(body);
    const [response] = (await once(request, "response")) as [AsyncIterable<Buffer> & { statusCode?: number }];
    let text = "";
    for await (const chunk of response) text += chunk.toString();
    return { status: response.statusCode ?? 0, text };
  };
  const bearer = { headers: { authorization: "Bearer good-token" } };

  const status = async ({ certificate, key }: Certificate): Promise<number> =>
    (await ask("/api/v1/pods", { cert: certificate, key })).status;

  for (const path of ["/healthz", "/livez", "/readyz", "/version"]) {
    it(`${path} is for everybody`, async () => assert.equal((await ask(path)).status, 200));
  }

  for (const [who, headers] of [
    ["nobody", {}],
    ["a wrong token", { authorization: "Bearer bad-token" }],
    ["a part of the token", { authorization: "Bearer good-toke" }],
    ["another scheme", { authorization: "Basic good-token" }],
  ] as const) {
    it(`${who} gets 401`, async () => {
      for (const path of ["/api/v1/pods", "/api", "/healthzz"]) {
        const reply = await ask(path, { headers });
        assert.equal(reply.status, 401);
        assert.equal((JSON.parse(reply.text) as { reason: string }).reason, "Unauthorized");
      }
    });
  }

  it("a good token gets in", async () => assert.equal((await ask("/api/v1/pods", bearer)).status, 200));

  it("a component's token writes the Leases of its namespace, and no others", async () => {
    const headers = { authorization: "Bearer reader", "content-type": "application/json" };
    const leasesIn = (namespace: string): string =>
      `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
    const object = JSON.stringify({ metadata: { name: "kube-dns-1" } });
    const post = async (path: string): Promise<number> =>
      (await ask(path, { method: "POST", headers }, object)).status;
    assert.equal(await post(leasesIn("kube-system")), 201);
    assert.equal(await post(`${leasesIn("kube-system")}?fieldManager=x`), 409);
    for (const path of [
      leasesIn("default"),
      "/apis/coordination.k8s.io/v1/leases",
      `${leasesIn("kube-system")}/../../default/leases`,
      "/api/v1/namespaces/kube-system/configmaps",
    ]) {
      assert.equal(await post(path), 403, path);
    }
    const remove = { method: "DELETE", headers };
    assert.equal((await ask(`${leasesIn("kube-system")}/kube-dns-1`, remove)).status, 200);
  });

  it("a component's token reads, and writes nothing", async () => {
    const headers = { authorization: "Bearer reader", "content-type": "application/json" };
    const path = "/api/v1/namespaces/default/configmaps";
    assert.equal((await ask(path, { headers })).status, 200);
    const object = JSON.stringify({ metadata: { name: "x" } });
    assert.equal((await ask(path, { method: "POST", headers }, object)).status, 403);
    assert.equal((await ask(`${path}/x`, { method: "DELETE", headers })).status, 403);
  });

  it("a client certificate of the authority gets in, others do not", async () => {
    assert.equal(await status(await client(ca, "client")), 200);
    assert.equal(await status(await client(stranger, "client")), 401, "same name, another key");
    assert.equal(await status(await client(ca, "server")), 401, "not meant for clients");
    assert.equal(
      await status(await issueCertificate(ca, { commonName: "late", usages: ["client"], days: -1 })),
      401,
      "expired",
    );
  });

  for (const [how, extra] of [
    ["announced", { "content-length": String(MAX_BODY + 1) }],
    ["in chunks", { "transfer-encoding": "chunked" }],
  ] as const) {
    it(`a body beyond the limit, ${how}, is refused`, async () => {
      const headers = { ...bearer.headers, "content-type": "application/json", ...extra };
      const path = "/api/v1/namespaces/default/configmaps";
      const reply = await ask(path, { method: "POST", headers }, Buffer.alloc(MAX_BODY + 1, 0x20));
      assert.equal(reply.status, 413);
    });
  }

  it("HEAD has no body", async () => {
    const reply = await ask("/api/v1/pods", { ...bearer, method: "HEAD" });
    assert.deepEqual(reply, { status: 200, text: "" });
  });

  it("a watch answers at once, and ends on the server when its client goes", async () => {
    const request = httpsRequest({
      host: "127.0.0.1",
      port,
      path: "/api/v1/namespaces/default/secrets?watch=true",
      ca: ca.certificate,
      agent: false,
      ...bearer,
    });
    request.end();
    const [response] = (await once(request, "response")) as [AsyncIterable<Buffer> & { destroy(): void }];
    const reader = response[Symbol.asyncIterator]();
    const made = { metadata: { name: "s" }, stringData: { a: "b" } };
    await ask(
      "/api/v1/namespaces/default/secrets",
      { method: "POST", headers: { ...bearer.headers, "content-type": "application/json" } },
      JSON.stringify(made),
    );
    const { value } = await reader.next();
    assert.match(String(value), /^\{"type":"ADDED"/);
    response.destroy();
  });
});
