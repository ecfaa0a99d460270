import assert from "node:assert/strict";
import { test } from "node:test";
import type { IngressRoutes } from "#model";
import { chooseCertificate } from "./certificates.ts";

const ingress = { namespace: "default", name: "shop" };
const pem = { certificate: "-", key: "-" };
const certificate = (host: string, name: string) => ({
  host,
  secret: { namespace: "default", name },
  ingress,
  pem,
});

/** One Secret for a host, one for all: an entry of spec.tls without hosts. */
const routes: IngressRoutes = {
  hosts: new Map(),
  certificates: [certificate("shop.test", "shop-tls"), certificate("", "any-tls")],
};

const cases: readonly (readonly [serverName: string | undefined, secret: string | undefined])[] = [
  ["shop.test", "shop-tls"],
  ["SHOP.test", "shop-tls"],
  ["other.test", "any-tls"],
  // No callback chooses then: the server's own certificate serves.
  [undefined, undefined],
  ["", undefined],
];
for (const [serverName, secret] of cases) {
  test(`a hello with the server name ${serverName} gets ${secret ?? "the default certificate"}`, () => {
    assert.equal(chooseCertificate(routes, serverName).certificate?.secret.name, secret);
  });
}
