import assert from "node:assert/strict";
import { test } from "node:test";
import type { Endpoints } from "./endpoints-plan.ts";
import { isMirrored, planMirror } from "./endpoints-mirror.ts";
import type { Service } from "./objects.ts";

function endpoints(subsets: object[], metadata: object = {}): Endpoints {
  return {
    metadata: { name: "db", namespace: "shop", uid: "e1", labels: { team: "x" }, ...metadata },
    subsets,
  };
}

const service = (spec: object = {}): Service => ({ metadata: { name: "db" }, spec });

const table: readonly [string, Endpoints, Service | undefined, boolean][] = [
  ["a Service without selector", endpoints([]), service(), true],
  ["a Service with selector", endpoints([]), service({ selector: { app: "db" } }), false],
  ["no Service", endpoints([]), undefined, false],
  [
    "asked not to",
    endpoints([], { labels: { "endpointslice.kubernetes.io/skip-mirror": "true" } }),
    service(),
    false,
  ],
  [
    "a leader election lock",
    endpoints([], { annotations: { "control-plane.alpha.kubernetes.io/leader": "{}" } }),
    service(),
    false,
  ],
];

for (const [what, one, owner, expected] of table) {
  test(`mirrored or not: ${what}`, () => assert.equal(isMirrored(one, owner), expected));
}

test("subsets become slices per family, with the Endpoints as owner", () => {
  const subsets = [
    {
      addresses: [{ ip: "192.0.2.1" }, { ip: "2001:db8::1", hostname: "six" }],
      notReadyAddresses: [{ ip: "192.0.2.2", nodeName: "node-a" }],
      ports: [{ port: 5432 }],
    },
  ];
  const { create, update, remove } = planMirror(endpoints(subsets), []);
  assert.deepEqual([update, remove], [[], []]);
  assert.deepEqual(
    create.map(({ addressType, endpoints: list, ports }) => ({ addressType, list, ports })),
    [
      {
        addressType: "IPv4",
        list: [
          { addresses: ["192.0.2.1"], conditions: { ready: true } },
          { addresses: ["192.0.2.2"], conditions: { ready: false }, nodeName: "node-a" },
        ],
        ports: [{ name: "", protocol: "TCP", port: 5432 }],
      },
      {
        addressType: "IPv6",
        list: [{ addresses: ["2001:db8::1"], conditions: { ready: true }, hostname: "six" }],
        ports: [{ name: "", protocol: "TCP", port: 5432 }],
      },
    ],
  );
  assert.deepEqual(create[0]?.metadata?.labels, {
    team: "x",
    "kubernetes.io/service-name": "db",
    "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io",
  });
  assert.equal(create[0]?.metadata?.ownerReferences?.[0]?.kind, "Endpoints");
});

test("Endpoints without addresses have no slices", () => {
  const subsets = [{ addresses: [{ ip: "192.0.2.1" }], ports: [{ port: 5432 }] }];
  const held = planMirror(endpoints(subsets), []).create;
  assert.deepEqual(planMirror(endpoints([]), held).remove, held);
});
