import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { policyCases } from "../../test/support/policy-cases.ts";
import {
  isReachable,
  policy,
  ports,
  worldObjects,
  worldPods,
  worldSnapshot,
} from "../../test/support/policy-world.ts";
import { compile } from "./compile.ts";
import { decidePolicy } from "./policy.ts";

describe("the truth table of NetworkPolicies", () => {
  for (const one of policyCases) {
    test(one.name, () => {
      const snapshot = worldSnapshot(one.policies, one.changes);
      for (const from of worldPods) {
        for (const to of worldPods) {
          for (const port of ports) {
            for (const protocol of ["TCP", "UDP", "SCTP"] as const) {
              const wanted = isReachable(one, { from, to, port, protocol });
              for (const family of ["ipv4", "ipv6"] as const) {
                const { allowed } = decidePolicy(snapshot, from[family], to[family], protocol, port);
                assert.equal(allowed, wanted, `${from.key} -> ${to.key} ${port}/${protocol} ${family}`);
              }
            }
          }
        }
      }
    });
  }
});

test("a pod's changed status resolves no selector anew, its changed label does", () => {
  const objects = worldObjects([policy("x/from-y", { ingress: [{ from: [{ namespaceSelector: {} }] }] })]);
  const change = (more: object) => ({
    ...objects,
    pods: objects.pods.map((object, i) => (i === 0 ? { ...object, ...more } : object)),
  });
  const compiled = (given: typeof objects) =>
    compile(given, { domain: "cluster.local" }).policies.get("x/from-y");
  const first = compiled(objects);
  assert.equal(compiled(change({ status: { phase: "Running", podIP: "10.244.0.99" } })), first);
  const relabelled = compiled(change({ metadata: { namespace: "x", name: "a", labels: {} } }));
  assert.notEqual(relabelled, first);
});
