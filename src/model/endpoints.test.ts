import assert from "node:assert/strict";
import { test } from "node:test";
import { chooseEndpoints, type EndpointQuery } from "./endpoints.ts";
import type { Endpoint, ServicePort } from "./types.ts";

type State = "ready" | "not ready" | "serving, terminating" | "terminating";

function endpoint(address: string, node: string, state: State): Endpoint {
  const terminating = state === "serving, terminating" || state === "terminating";
  const serving = state === "ready" || state === "serving, terminating";
  return { address, port: 8080, node, ready: state === "ready", serving, terminating };
}

/** Endpoints as `1a` = 10.0.0.1 on node-a, with their states. */
function port(states: Readonly<Record<string, State>>): ServicePort {
  const endpoints = Object.entries(states).map(([key, state]) =>
    endpoint(`10.0.0.${key.slice(0, -1)}`, `node-${key.slice(-1)}`, state),
  );
  return { name: "", protocol: "TCP", port: 80, targetPort: 8080, endpoints };
}

const cases: readonly (readonly [
  name: string,
  states: Readonly<Record<string, State>>,
  policies: readonly [internal: "Cluster" | "Local", external: "Cluster" | "Local"],
  traffic: EndpointQuery["traffic"],
  usable: readonly number[],
  policyDrop: boolean,
])[] = [
  [
    "ready ones of all nodes",
    { "1a": "ready", "2b": "ready" },
    ["Cluster", "Cluster"],
    "internal",
    [1, 2],
    false,
  ],
  [
    "never one that is not ready",
    { "1a": "not ready", "2b": "ready" },
    ["Cluster", "Cluster"],
    "internal",
    [2],
    false,
  ],
  [
    "no terminating one while any is ready",
    { "1a": "serving, terminating", "2b": "ready" },
    ["Cluster", "Cluster"],
    "internal",
    [2],
    false,
  ],
  [
    "serving and terminating ones if none is ready",
    { "1a": "serving, terminating", "2b": "terminating", "3b": "not ready" },
    ["Cluster", "Cluster"],
    "internal",
    [1],
    false,
  ],
  ["nothing at all is refused", {}, ["Cluster", "Cluster"], "internal", [], false],
  [
    "nothing usable is refused",
    { "1a": "not ready", "2b": "terminating" },
    ["Cluster", "Cluster"],
    "external",
    [],
    false,
  ],
  [
    "Local takes those of the node",
    { "1a": "ready", "2b": "ready" },
    ["Local", "Cluster"],
    "internal",
    [1],
    false,
  ],
  ["Local drops when only others have some", { "2b": "ready" }, ["Local", "Cluster"], "internal", [], true],
  ["Local refuses when nobody has one", { "2b": "not ready" }, ["Local", "Cluster"], "internal", [], false],
  [
    "Local drops when another node has one that serves while terminating",
    { "2b": "serving, terminating" },
    ["Cluster", "Local"],
    "external",
    [],
    true,
  ],
  [
    "Local falls back to its own terminating one though another node has a ready one",
    { "1a": "serving, terminating", "2b": "ready" },
    ["Cluster", "Local"],
    "external",
    [1],
    false,
  ],
  [
    "the policies are independent",
    { "1a": "ready", "2b": "ready" },
    ["Cluster", "Local"],
    "internal",
    [1, 2],
    false,
  ],
  ["external Local", { "1a": "ready", "2b": "ready" }, ["Cluster", "Local"], "external", [1], false],
  [
    "traffic from inside short-circuits",
    { "1a": "ready", "2b": "ready" },
    ["Local", "Local"],
    "short-circuit",
    [1, 2],
    false,
  ],
];

for (const [name, states, [internal, external], traffic, usable, policyDrop] of cases) {
  test(`endpoints: ${name}`, () => {
    const service = { internalTrafficPolicy: internal, externalTrafficPolicy: external };
    const choice = chooseEndpoints(port(states), service, { node: "node-a", family: "IPv4", traffic });
    assert.deepEqual(
      choice.usable.map(({ address }) => Number(address.slice(7))),
      usable,
    );
    assert.equal(choice.policyDrop, policyDrop);
    assert.deepEqual(
      choice.reasons.filter(({ eligible }) => eligible).map((reason) => reason.endpoint),
      choice.usable,
    );
  });
}

test("every endpoint gets its reason", () => {
  const states = { "1a": "ready", "2a": "serving, terminating", "3a": "not ready", "4b": "ready" } as const;
  const service = { internalTrafficPolicy: "Local", externalTrafficPolicy: "Cluster" } as const;
  const { reasons } = chooseEndpoints(port(states), service, {
    node: "node-a",
    family: "IPv4",
    traffic: "internal",
  });
  assert.deepEqual(
    reasons.map(({ reason }) => reason),
    [
      "ready",
      "terminating, and others are ready",
      "not ready",
      "not on node-a, and the traffic policy is Local",
    ],
  );
});

type Hinted = readonly [key: string, nodes: string, zones: string, state?: State];

/** `["1a", "node-a", "zone-1"]`: the endpoint 10.0.0.1 on node-a is meant for node-a and for zone-1. */
function hinted(...list: readonly Hinted[]): Pick<ServicePort, "endpoints"> {
  const words = (text: string): string[] => text.split(" ").filter((word) => word !== "");
  return {
    endpoints: list.map(([key, nodes, zones, state = "ready"]) => ({
      ...endpoint(`10.0.0.${key.slice(0, -1)}`, `node-${key.slice(-1)}`, state),
      hints: { nodes: words(nodes), zones: words(zones) },
    })),
  };
}

const hintCases: readonly (readonly [
  name: string,
  endpoints: readonly Hinted[],
  usable: readonly number[],
  policy?: "Local",
])[] = [
  [
    "those meant for the node",
    [
      ["1a", "node-a", ""],
      ["2b", "node-b", ""],
    ],
    [1],
  ],
  [
    "the node's hints go before the zone's",
    [
      ["1a", "node-a", "zone-1"],
      ["2b", "node-b", "zone-1"],
    ],
    [1],
  ],
  [
    "no hint for this node: those of its zone",
    [
      ["1b", "node-b", "zone-1"],
      ["2c", "node-c", "zone-2"],
    ],
    [1],
  ],
  [
    "one ready endpoint without a hint: all",
    [
      ["1a", "", "zone-1"],
      ["2b", "", ""],
    ],
    [1, 2],
  ],
  [
    "none for this zone: all",
    [
      ["1b", "", "zone-2"],
      ["2b", "", "zone-2"],
    ],
    [1, 2],
  ],
  [
    "endpoints that are not ready need no hint",
    [
      ["1a", "", "zone-1"],
      ["2b", "", "", "not ready"],
    ],
    [1],
  ],
  [
    "none ready: hints are not looked at",
    [
      ["1a", "", "zone-1", "serving, terminating"],
      ["2b", "", "zone-2", "serving, terminating"],
    ],
    [1, 2],
  ],
  [
    "policy Local looks at no hint",
    [
      ["1a", "", "zone-2"],
      ["2b", "", "zone-1"],
    ],
    [1],
    "Local",
  ],
];

for (const [name, endpoints, usable, policy = "Cluster"] of hintCases) {
  test(`topology hints: ${name}`, () => {
    const service = { internalTrafficPolicy: policy, externalTrafficPolicy: "Cluster" } as const;
    const query = { node: "node-a", zone: "zone-1", family: "IPv4", traffic: "internal" } as const;
    const choice = chooseEndpoints(hinted(...endpoints), service, query);
    assert.deepEqual(
      choice.usable.map(({ address }) => Number(address.slice(7))),
      usable,
    );
    assert.equal(choice.reasons.length, endpoints.length);
  });
}

test("a connection never changes its family", () => {
  const both = {
    endpoints: [endpoint("10.0.0.1", "node-a", "ready"), endpoint("fd00::1", "node-a", "ready")],
  };
  const service = { internalTrafficPolicy: "Cluster", externalTrafficPolicy: "Cluster" } as const;
  const { usable, reasons } = chooseEndpoints(both, service, {
    node: "node-a",
    family: "IPv6",
    traffic: "internal",
  });
  assert.deepEqual(
    usable.map(({ address }) => address),
    ["fd00::1"],
  );
  assert.equal(reasons.length, 1);
});
