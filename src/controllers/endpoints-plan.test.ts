import assert from "node:assert/strict";
import { test } from "node:test";
import { type Endpoints, planEndpoints } from "./endpoints-plan.ts";
import type { Pod, Service } from "./objects.ts";

interface Traits {
  ready?: boolean;
  ending?: boolean;
  port?: number;
  spec?: object;
}

function pod(index: number, { ready = true, ending = false, port = 8080, spec = {} }: Traits = {}): Pod {
  return {
    metadata: {
      name: `p${index}`,
      namespace: "shop",
      uid: `u${index}`,
      ...(ending ? { deletionTimestamp: "x" } : {}),
    },
    spec: {
      nodeName: "node-a",
      containers: [{ name: "c", ports: [{ name: "http", containerPort: port }] }],
      ...spec,
    },
    status: {
      podIP: `10.244.${Math.trunc(index / 250)}.${index % 250}`,
      conditions: [{ type: "Ready", status: ready ? "True" : "False" }],
    },
  };
}

function service(spec: object = {}): Service {
  return {
    metadata: { name: "api", namespace: "shop", labels: { team: "x" } },
    spec: { selector: { app: "api" }, ports: [{ name: "web", port: 80, targetPort: "http" }], ...spec },
  };
}

const last = (list: { ip: string }[] = []): string => list.map(({ ip }) => ip.split(".").at(-1)).join(",");

/** Subsets as `ready addresses/others:port`. */
function shape(endpoints: Endpoints | undefined): string[] {
  return (endpoints?.subsets ?? []).map(
    ({ addresses, notReadyAddresses, ports = [] }) =>
      `${last(addresses)}/${last(notReadyAddresses)}:${ports.map(({ port }) => port).join(",")}`,
  );
}

const table: readonly [string, Service, Pod[], string[]][] = [
  ["ready and not ready apart", service(), [pod(1), pod(2, { ready: false })], ["1/2:8080"]],
  ["ending pods are left out", service(), [pod(1), pod(2, { ending: true })], ["1/:8080"]],
  [
    "published all the same",
    service({ publishNotReadyAddresses: true }),
    [pod(1, { ready: false }), pod(2, { ending: true })],
    ["1,2/:8080"],
  ],
  ["other ports, another subset", service(), [pod(1), pod(2, { port: 9090 })], ["1/:8080", "2/:9090"]],
  ["no such port, no address", service(), [pod(1, { spec: { containers: [{ name: "c" }] } })], []],
  ["headless without ports", service({ clusterIP: "None", ports: [] }), [pod(1)], ["1/:"]],
];

for (const [what, one, pods, expected] of table) {
  test(`endpoints: ${what}`, () =>
    assert.deepEqual(shape(planEndpoints(one, pods, undefined, undefined)), expected));
}

test("an address names its node and pod; labels are the Service's", () => {
  const wanted = planEndpoints(service(), [pod(1)], undefined, "2026-01-01T00:00:01Z");
  assert.deepEqual(wanted, {
    metadata: {
      name: "api",
      namespace: "shop",
      labels: { team: "x", "endpoints.kubernetes.io/managed-by": "endpoint-controller" },
      annotations: { "endpoints.kubernetes.io/last-change-trigger-time": "2026-01-01T00:00:01Z" },
    },
    subsets: [
      {
        ports: [{ name: "web", protocol: "TCP", port: 8080 }],
        addresses: [
          {
            ip: "10.244.0.1",
            nodeName: "node-a",
            targetRef: { kind: "Pod", namespace: "shop", name: "p1", uid: "u1" },
          },
        ],
      },
    ],
  });
});

test("nothing to write when the object is right already, whatever the trigger time", () => {
  const current = planEndpoints(service(), [pod(1)], undefined, undefined);
  assert.equal(planEndpoints(service(), [pod(1)], current, "2026-01-01T00:00:01Z"), undefined);
});

test("what is beyond 1000 addresses is left out, and marked so", () => {
  const pods = Array.from({ length: 1001 }, (_, index) => pod(index));
  const wanted = planEndpoints(service(), pods, undefined, undefined);
  assert.equal(wanted?.subsets?.[0]?.addresses?.length, 1000);
  assert.equal(wanted?.metadata?.annotations?.["endpoints.kubernetes.io/over-capacity"], "truncated");
});
