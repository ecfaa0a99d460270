import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeObject } from "#kube";
import { createCa, issueCertificate } from "#lib/pki";
import { exampleSnapshot, ingress, rule } from "../../test/support/snapshot.ts";
import { certificateFor } from "./routes.ts";

const ca = await createCa({ commonName: "test", days: 1 });
const makeCertificate = (...dnsNames: readonly string[]) =>
  issueCertificate(ca, { commonName: dnsNames[0] ?? "", dnsNames, usages: ["server"], days: 1 });

const base64 = (text: string): string => Buffer.from(text).toString("base64");

function secret(
  name: string,
  pem: { certificate?: string; key?: string },
  type = "kubernetes.io/tls",
): KubeObject {
  const data = {
    ...(pem.certificate === undefined ? {} : { "tls.crt": base64(pem.certificate) }),
    ...(pem.key === undefined ? {} : { "tls.key": base64(pem.key) }),
  };
  return { kind: "Secret", metadata: { name, namespace: "default" }, type, data };
}

const rules = [rule("foo.com", "/", "api-service", 80)];

function snapshotWith(tls: readonly object[], secrets: readonly KubeObject[]) {
  return exampleSnapshot({ secrets, ingresses: [ingress("i", { rules, tls })] });
}

const own = await makeCertificate("foo.com", "*.foo.com");
const other = await makeCertificate("bar.com");

test("a certificate serves its host, exact before wildcard before none", () => {
  const tls = [
    { hosts: ["*.foo.com"], secretName: "wild" },
    { hosts: ["A.foo.com"], secretName: "exact" },
    { secretName: "any" },
  ];
  const { routes, findings } = snapshotWith(
    tls,
    ["wild", "exact", "any"].map((name) => secret(name, own)),
  );
  assert.deepEqual(findings, []);
  const secretFor = (name?: string) => certificateFor(routes, name)?.secret.name;
  assert.equal(secretFor("a.foo.com"), "exact");
  assert.equal(secretFor("a.FOO.com."), "exact");
  assert.equal(secretFor("b.foo.com"), "wild");
  assert.equal(secretFor("a.b.foo.com"), "any");
  assert.equal(secretFor("foo.com"), "any");
  assert.equal(secretFor(), "any");
  assert.equal(certificateFor(routes, "a.foo.com")?.pem?.key, own.key);
});

test("without an entry for the host the default certificate serves", () => {
  const { routes, findings } = snapshotWith([{ hosts: ["foo.com"] }], []);
  assert.equal(certificateFor(routes, "foo.com"), undefined);
  assert.deepEqual(findings, []);
});

/** Secrets that cannot be used, the code and what is said. */
const unusable: readonly (readonly [
  name: string,
  secrets: readonly KubeObject[],
  code: string,
  message: RegExp,
])[] = [
  [
    "it is missing",
    [secret("foo-tsl", own)],
    "TlsSecretMissing",
    /^Secret default\/foo-tls does not exist; did you mean foo-tsl\?;/,
  ],
  [
    "it has another type",
    [secret("foo-tls", own, "Opaque")],
    "TlsSecretUnusable",
    /is of type Opaque, not kubernetes\.io\/tls/,
  ],
  [
    "it has no key",
    [secret("foo-tls", { certificate: own.certificate })],
    "TlsSecretUnusable",
    /has no tls\.key/,
  ],
  [
    "it is no PEM",
    [secret("foo-tls", { certificate: "x", key: "y" })],
    "TlsSecretUnusable",
    /holds no PEM certificate/,
  ],
  [
    "its key is another's",
    [secret("foo-tls", { certificate: own.certificate, key: other.key })],
    "TlsSecretUnusable",
    /tls\.key is not the key of the certificate/,
  ],
];

for (const [name, secrets, code, message] of unusable) {
  test(`a TLS Secret cannot be used when ${name}`, () => {
    const { routes, findings } = snapshotWith([{ hosts: ["foo.com"], secretName: "foo-tls" }], secrets);
    const [finding] = findings;
    assert.deepEqual([finding?.code, finding?.field], [code, "spec.tls[0].secretName"]);
    assert.match(finding?.message ?? "", message);
    assert.match(finding?.message ?? "", /; the default certificate serves foo\.com$/);
    assert.match(finding?.mend ?? "", /^kubectl create secret tls foo-tls -n default/);
    const found = certificateFor(routes, "foo.com");
    assert.ok(found?.problem !== undefined);
    assert.equal(found.pem, undefined);
  });
}

test("a certificate for another name is used, and reported", () => {
  const { routes, findings } = snapshotWith(
    [{ hosts: ["foo.com"], secretName: "foo-tls" }],
    [secret("foo-tls", other)],
  );
  assert.deepEqual(
    findings.map(({ code }) => code),
    ["TlsHostMismatch"],
  );
  assert.equal(certificateFor(routes, "foo.com")?.problem, undefined);
});

const specWith = (secretName: string) => ({ rules, tls: [{ hosts: ["foo.com"], secretName }] });

test("a usable certificate goes before an unusable one of an older Ingress", () => {
  const { routes } = exampleSnapshot({
    secrets: [secret("good", own)],
    ingresses: [
      ingress("old", specWith("missing")),
      ingress("young", specWith("good"), { created: "2026-02-01T00:00:00Z" }),
    ],
  });
  assert.equal(certificateFor(routes, "foo.com")?.secret.name, "good");
});

test("a Secret is checked anew when it changes", () => {
  const tls = [{ hosts: ["foo.com"], secretName: "foo-tls" }];
  const problem = (pem: { certificate: string; key: string }) =>
    certificateFor(snapshotWith(tls, [secret("foo-tls", pem)]).routes, "foo.com")?.problem;
  assert.notEqual(problem({ certificate: own.certificate, key: other.key }), undefined);
  assert.equal(problem(own), undefined);
});
