import assert from "node:assert/strict";
import { X509Certificate, createPrivateKey } from "node:crypto";
import { connect, createServer } from "node:tls";
import { once } from "node:events";
import { describe, it } from "node:test";
import { createCa, issueCertificate } from "./pki.ts";

describe("certificates", async () => {
  const ca = await createCa({ commonName: "test authority", days: 10 });
  const authority = new X509Certificate(ca.certificate);

  it("an authority may sign", () => {
    assert.equal(authority.ca, true);
    assert.equal(authority.subject, "CN=test authority");
  });

  it("a certificate names its user, groups, hosts and purposes and is signed by the authority", async () => {
    const issued = await issueCertificate(ca, {
      commonName: "alice",
      organizations: ["system:masters", "devs"],
      dnsNames: ["kubernetes.default.svc"],
      ipAddresses: ["10.96.0.1"],
      usages: ["server", "client"],
      days: 1,
    });
    const certificate = new X509Certificate(issued.certificate);
    assert.ok(certificate.checkIssued(authority));
    assert.ok(certificate.verify(authority.publicKey));
    assert.ok(certificate.checkPrivateKey(createPrivateKey(issued.key)));
    assert.equal(certificate.subject, "O=system:masters\nO=devs\nCN=alice");
    assert.equal(certificate.subjectAltName, "DNS:kubernetes.default.svc, IP Address:10.96.0.1");
    assert.deepEqual(certificate.keyUsage, ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]);
    assert.equal(certificate.ca, false);
    const life = Date.parse(certificate.validTo) - Date.now();
    assert.ok(Math.abs(life - 86_400_000) < 60_000, `valid for ${life} ms`);
  });

  it("fifty hosts fit into one certificate, with addresses of both families", async () => {
    const dnsNames = Array.from({ length: 50 }, (_, index) => `host-${index}.example.com`);
    const issued = await issueCertificate(ca, {
      commonName: "ingress",
      dnsNames,
      ipAddresses: ["127.0.0.1", "fd00::1"],
      usages: ["server"],
      days: 20_000,
    });
    const certificate = new X509Certificate(issued.certificate);
    assert.ok(certificate.verify(authority.publicKey));
    assert.ok(dnsNames.every((name) => certificate.checkHost(name) === name));
    assert.equal(certificate.checkIP("fd00::1"), "fd00::1");
    assert.equal(new Date(certificate.validTo).getUTCFullYear() >= 2050, true);
  });

  it("a TLS client that trusts the authority accepts a server certificate", async () => {
    const issued = await issueCertificate(ca, {
      commonName: "server",
      ipAddresses: ["127.0.0.1"],
      usages: ["server"],
      days: 1,
    });
    const server = createServer({ cert: issued.certificate, key: issued.key }, (socket) => socket.end());
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    assert.ok(typeof address === "object" && address !== null);
    const socket = connect({ host: "127.0.0.1", port: address.port, ca: ca.certificate });
    await once(socket, "secureConnect");
    assert.equal(socket.authorized, true);
    socket.destroy();
    server.close();
  });
});
