import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { connect, type ConnectionOptions, type PeerCertificate } from "node:tls";
import type { KubeObject } from "#kube";
import type { PemCertificate } from "./certificates.ts";
import type { RequestRecord } from "./records.ts";
import { selfSigned } from "./testing-certificate.ts";
import { rawClient, snapshotOf, startTestIngress, testToken, type TestIngress } from "./testing.ts";

const base64 = (text: string): string => Buffer.from(text).toString("base64");

function tlsSecret(name: string, pem: PemCertificate): KubeObject {
  const data = { "tls.crt": base64(pem.cert), "tls.key": base64(pem.key) };
  return { kind: "Secret", metadata: { name, namespace: "default" }, type: "kubernetes.io/tls", data };
}

interface TlsReply {
  readonly certificate: PeerCertificate;
  readonly protocol: string | null;
  readonly alpn: string | false | null;
  readonly text: string;
}

/** One request over TLS; the certificate is looked at, not trusted. */
async function overTls(port: number, host: string, options: ConnectionOptions = {}): Promise<TlsReply> {
  const socket = connect({
    port,
    host: "127.0.0.1",
    servername: host,
    rejectUnauthorized: false,
    ...options,
  });
  await once(socket, "secureConnect");
  const certificate = socket.getPeerCertificate();
  const protocol = socket.getProtocol();
  socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  let text = "";
  for await (const chunk of socket) text += String(chunk);
  return { certificate, protocol, alpn: socket.alpnProtocol, text };
}

describe("the ingress as it runs", () => {
  const backend: Server = createServer((req, res) => void res.end(JSON.stringify(req.headers)));
  let ingress: TestIngress;
  let port = 0;
  const certificates: Record<string, PemCertificate> = {};
  const routes = [
    { host: "app.test", path: "/", backend: "app", tlsSecret: "app-tls" },
    { host: "*.wild.test", path: "/", backend: "app", tlsSecret: "wild-tls" },
    { host: "broken.test", path: "/", backend: "app", tlsSecret: "missing-tls" },
    { host: "plain.test", path: "/", backend: "app" },
  ];
  const withSecrets = (secrets: readonly KubeObject[]) =>
    snapshotOf([{ name: "app", port }], routes, { secrets });

  before(async () => {
    backend.listen(0, "127.0.0.1");
    await once(backend, "listening");
    port = (backend.address() as AddressInfo).port;
    for (const name of ["default.test", "app.test", "*.wild.test", "renewed.test"])
      certificates[name] = await selfSigned(name);
    ingress = await startTestIngress(
      withSecrets([tlsSecret("app-tls", pem("app.test")), tlsSecret("wild-tls", pem("*.wild.test"))]),
      { defaultCertificate: pem("default.test") },
    );
  });
  after(async () => {
    await ingress.close();
    backend.closeAllConnections();
    backend.close();
  });

  function pem(name: string): PemCertificate {
    const found = certificates[name];
    assert.ok(found);
    return found;
  }

  const debug = (path: string, headers: Record<string, string> = { authorization: `Bearer ${testToken}` }) =>
    fetch(`http://127.0.0.1:${ingress.debug}${path}`, { headers });
  const recordsOf = async (id: string): Promise<RequestRecord[]> => {
    const answer = (await (await debug(`/debug/records?requestId=${id}`)).json()) as {
      records: RequestRecord[];
    };
    return answer.records;
  };

  for (const [serverName, expected] of [
    ["app.test", "app.test"],
    ["a.wild.test", "*.wild.test"],
    ["a.b.wild.test", "default.test"],
    ["broken.test", "default.test"],
    ["plain.test", "default.test"],
    ["unknown.test", "default.test"],
  ] as const) {
    test(`the server name ${serverName} gets the certificate ${expected}`, async () => {
      const reply = await overTls(ingress.https, serverName);
      assert.equal(reply.certificate.subject.CN, expected);
    });
  }

  test("a request over TLS says https and its port to the backend", async () => {
    const { text } = await overTls(ingress.https, "app.test", { ALPNProtocols: ["h2", "http/1.1"] });
    assert.match(text, /^HTTP\/1.1 200 OK\r\n/);
    assert.match(text, /"x-forwarded-proto":"https"/);
    assert.match(text, new RegExp(`"x-forwarded-port":"${ingress.https}"`));
  });

  test("http/1.1 is negotiated, and TLS 1.1 is refused", async () => {
    const reply = await overTls(ingress.https, "app.test", { ALPNProtocols: ["h2", "http/1.1"] });
    assert.equal(reply.alpn, "http/1.1");
    await assert.rejects(
      overTls(ingress.https, "app.test", {
        minVersion: "TLSv1.1",
        maxVersion: "TLSv1.1",
        ciphers: "DEFAULT@SECLEVEL=0",
      }),
    );
    assert.equal((await overTls(ingress.https, "app.test", { maxVersion: "TLSv1.2" })).protocol, "TLSv1.2");
  });

  test("the certificate follows the server name, the route the Host", async () => {
    const reply = await overTls(ingress.https, "nothing.test", { servername: "app.test" });
    assert.equal(reply.certificate.subject.CN, "app.test");
    assert.match(reply.text, /^HTTP\/1.1 404 /);
  });

  test("an Ingress with tls still answers over HTTP, without redirect", async () => {
    const client = await rawClient(
      ingress.http,
      "GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n",
    );
    assert.match(await client.end(), /^HTTP\/1.1 200 OK\r\n/);
  });

  test("changed routes and certificates count at once, on open connections too", async () => {
    const before = ingress.source.current();
    const client = await rawClient(ingress.http, "GET / HTTP/1.1\r\nHost: plain.test\r\n\r\n");
    const first = await client.until((text) => text.endsWith("}\r\n0\r\n\r\n") || text.endsWith("}"));
    assert.match(first, /^HTTP\/1.1 200 OK\r\n/);
    ingress.source.set(
      snapshotOf([{ name: "app", port }], routes.slice(0, 1), {
        secrets: [tlsSecret("app-tls", pem("renewed.test"))],
      }),
    );
    client.socket.write("GET / HTTP/1.1\r\nHost: plain.test\r\nConnection: close\r\n\r\n");
    assert.match((await client.end()).slice(first.length), /^HTTP\/1.1 404 /);
    assert.equal((await overTls(ingress.https, "app.test")).certificate.subject.CN, "renewed.test");
    ingress.source.set(before);
    assert.equal((await overTls(ingress.https, "app.test")).certificate.subject.CN, "app.test");
  });

  test("the default certificate can be exchanged; a bad one changes nothing", async () => {
    ingress.setDefaultCertificate(pem("renewed.test"));
    assert.equal((await overTls(ingress.https, "plain.test")).certificate.subject.CN, "renewed.test");
    assert.throws(() => ingress.setDefaultCertificate({ cert: "no PEM", key: "no PEM" }));
    assert.equal((await overTls(ingress.https, "plain.test")).certificate.subject.CN, "renewed.test");
    ingress.setDefaultCertificate(pem("default.test"));
  });

  test("a record tells the whole way of a request", async () => {
    const client = await rawClient(ingress.http);
    const { localPort } = client.socket;
    client.socket.write(
      "GET /x?secret=1 HTTP/1.1\r\nHost: app.test\r\nX-Request-ID: whole-way\r\nConnection: close\r\n\r\n",
    );
    await client.end();
    const [record, ...more] = await recordsOf("whole-way");
    assert.equal(more.length, 0);
    assert.ok(record);
    const { time, upstream, timings, responseBytes, ...rest } = record;
    assert.ok(Date.parse(time) > 0 && responseBytes > 0);
    assert.deepEqual(rest, {
      requestId: "whole-way",
      client: { address: "127.0.0.1", port: localPort },
      method: "GET",
      host: "app.test",
      path: "/x",
      rule: {
        ingress: { namespace: "default", name: "ingress-0" },
        field: "spec.rules[0].http.paths[0]",
        pathType: "Prefix",
        path: "/",
      },
      backend: { namespace: "default", service: "app", port },
      dns: {
        name: "app.default.svc.cluster.local",
        address: "127.0.0.1",
        answer: "app.default.svc.cluster.local. 30 IN A 127.0.0.1",
      },
      status: 200,
      requestBytes: 0,
    });
    assert.ok(upstream && upstream.localPort > 0);
    assert.deepEqual(
      { ...upstream, localPort: 0 },
      { address: "127.0.0.1", port, localAddress: "127.0.0.1", localPort: 0, attempts: 1 },
    );
    const { resolved = -1, connected = -1, firstByte = -1, total = -1 } = timings;
    assert.ok(0 <= resolved && resolved <= connected && connected <= firstByte && firstByte <= total);
  });

  test("a request that no rule takes has a record too", async () => {
    const client = await rawClient(
      ingress.http,
      "GET / HTTP/1.1\r\nHost: no.test\r\nX-Request-ID: no-rule\r\nConnection: close\r\n\r\n",
    );
    await client.end();
    const [record] = await recordsOf("no-rule");
    assert.equal(record?.status, 404);
    assert.equal(record?.error, "no Ingress rule takes host no.test and path /");
    assert.equal(record?.rule, undefined);
  });

  test("the debug endpoint is read-only and needs its token, except for health", async () => {
    assert.equal((await debug("/healthz", {})).status, 200);
    for (const path of ["/debug/records", "/debug/routes", "/metrics", "/other"]) {
      assert.equal((await debug(path, {})).status, 401, path);
      assert.equal((await debug(path, { authorization: "Bearer wrong" })).status, 401, path);
    }
    const post = await fetch(`http://127.0.0.1:${ingress.debug}/debug/records`, { method: "POST" });
    assert.equal(post.status, 405);
    assert.equal((await debug("/other")).status, 404);
    assert.equal(
      (await debug("//", {})).status,
      400,
      "what is no target is refused, and the server lives on",
    );
  });

  test("the routes are shown without private keys, the counters in Prometheus' form", async () => {
    const routesText = await (await debug("/debug/routes")).text();
    assert.match(routesText, /"host":"app.test"/);
    assert.doesNotMatch(routesText, /PRIVATE KEY|BEGIN/);
    const metrics = await (await debug("/metrics")).text();
    assert.match(metrics, /^inroad_ingress_requests_total\{code="200"\} [1-9]/m);
    assert.match(metrics, /^inroad_ingress_connections \d+$/m);
  });
});

test("a port that is taken makes ready fail", async () => {
  const taken = createServer();
  taken.listen(0, "127.0.0.1");
  await once(taken, "listening");
  const { port } = taken.address() as AddressInfo;
  const defaultCertificate = await selfSigned("default.test");
  await assert.rejects(
    startTestIngress(snapshotOf([], []), {
      defaultCertificate,
      listen: { http: { port, host: "127.0.0.1" } },
    }),
    { code: "EADDRINUSE" },
  );
  taken.close();
});
