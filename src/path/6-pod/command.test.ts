import { test } from "node:test";
import assert from "node:assert/strict";
import type { PodSpec } from "kubernetes-types/core/v1.js";
import { resolverText, splitEnvironment } from "./command.ts";

const dns = { address: "10.96.0.10", domain: "cluster.local" };
const cluster =
  "search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n";

const cases: readonly [what: string, spec: Partial<PodSpec>, text: string | undefined][] = [
  ["by default the cluster's DNS", {}, cluster],
  ["in the host's network, the host's", { hostNetwork: true }, undefined],
  [
    "in the host's network with the policy for it, the cluster's",
    { hostNetwork: true, dnsPolicy: "ClusterFirstWithHostNet" },
    cluster,
  ],
  ["with policy Default, the host's", { dnsPolicy: "Default" }, undefined],
  [
    "with policy None, only what dnsConfig says",
    {
      dnsPolicy: "None",
      dnsConfig: { nameservers: ["192.0.2.1"], searches: ["a.b"], options: [{ name: "edns0" }] },
    },
    "search a.b\nnameserver 192.0.2.1\noptions edns0\n",
  ],
  [
    "dnsConfig adds to the cluster's and overrides its options",
    { dnsConfig: { searches: ["a.b", "cluster.local"], options: [{ name: "ndots", value: "2" }] } },
    "search shop.svc.cluster.local svc.cluster.local cluster.local a.b\nnameserver 10.96.0.10\noptions ndots:2\n",
  ],
];
for (const [what, spec, text] of cases) {
  test(`resolver settings: ${what}`, () => {
    const pod = { metadata: { name: "p", namespace: "shop" }, spec: { containers: [], ...spec } };
    assert.equal(resolverText({ pod }, dns), text);
  });
}

test("a pod's variables that a privileged program would obey are set after privileges are dropped", () => {
  const dangerous = {
    LD_PRELOAD: "/tmp/x.so",
    PATH: "/tmp/bin",
    GLIBC_TUNABLES: "a=b",
    BASH_ENV: "/tmp/x",
    LC_ALL: "C",
  };
  const harmless = { LEVEL: "high", MY_PATH: "/a", "my.name": "x", ENVIRONMENT: "test" };
  const { early, late } = splitEnvironment({ ...harmless, ...dangerous });
  assert.deepEqual(early, harmless);
  assert.match(late[0] ?? "", /\/env$/);
  assert.deepEqual(
    late.slice(1),
    Object.entries(dangerous).map(([name, value]) => `${name}=${value}`),
  );
  assert.deepEqual(splitEnvironment(harmless).late, []);
});
