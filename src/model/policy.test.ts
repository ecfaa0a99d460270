import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { policyCases } from "../../test/support/policy-cases.ts";
import { isReachable, ports, worldPods, worldSnapshot } from "../../test/support/policy-world.ts";
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
