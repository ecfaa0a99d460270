import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import type { KubeObject } from "#kube";
import {
  apiPods,
  exampleObjects,
  exampleSnapshot,
  ingress,
  node,
  ourClass,
  pod,
  rule,
  service,
  slice,
} from "../../test/support/snapshot.ts";
import { compile } from "./compile.ts";
import { findingsAbout } from "./findings.ts";
import type { ClusterObjects } from "./objects.ts";
import type { Snapshot } from "./types.ts";

const httpPort = [{ name: "", port: 8080, protocol: "TCP" }];

function endpointsOf(snapshot: Snapshot, key = "default/api-service"): readonly string[] {
  return (snapshot.services.get(key)?.ports[0]?.endpoints ?? []).map(
    ({ address, port: number }) => `${address}:${number}`,
  );
}

test("the example cluster compiles without a finding", () => {
  const snapshot = exampleSnapshot();
  assert.deepEqual(snapshot.findings, []);
  assert.deepEqual([...snapshot.nodes.keys()], ["node-a", "node-b"]);
  assert.equal(snapshot.nodes.get("node-b")?.vtepMac, "02:00:00:00:00:01");
  assert.equal(snapshot.podsByAddress.get("10.244.1.5")?.name, "api-3");
  assert.equal(snapshot.podsByAddress.get("10.244.0.3")?.component, "ingress");
  assert.deepEqual(endpointsOf(snapshot), ["10.244.0.5:8080", "10.244.0.6:8080", "10.244.1.5:8080"]);
  assert.deepEqual(snapshot.services.get("inroad-system/inroad-ingress")?.loadBalancerIPs, ["203.0.113.128"]);
});

test("the order of the objects does not matter", () => {
  const objects = exampleObjects({
    ingresses: [
      ingress("b", { rules: [rule("a.com", "/", "api-service", 80)] }),
      ingress("a", { rules: [rule("a.com", "/", "api-service", 80), rule("a.com", "/", "nothing", 80)] }),
    ],
  });
  const wanted = compile(objects, { domain: "cluster.local" });
  fc.assert(
    fc.property(fc.infiniteStream(fc.nat()), (stream) => {
      const shuffled = Object.fromEntries(
        Object.entries(objects).map(([kind, list]: [string, readonly KubeObject[]]) => [
          kind,
          list
            .map((object) => ({ object, key: Number(stream.next().value) }))
            .sort((a, b) => a.key - b.key)
            .map(({ object }) => object),
        ]),
      ) as unknown as ClusterObjects;
      const got = compile(shuffled, { domain: "cluster.local" });
      assert.deepEqual(got, wanted);
      assert.deepEqual([...got.services.keys()], [...wanted.services.keys()]);
    }),
    { numRuns: 30 },
  );
});

test("an object that cannot be read does not block the others", () => {
  const broken = { kind: "Service", metadata: { name: "broken" }, spec: { ports: 7 } };
  const objects = exampleObjects();
  const snapshot = exampleSnapshot({
    services: [...objects.services, broken],
    ingresses: [...objects.ingresses, ingress("broken", { rules: [null] })],
  });
  assert.deepEqual(
    snapshot.findings.map(({ code, object }) => `${code} ${object.kind} ${object.name}`),
    ["InvalidObject Service broken", "InvalidObject Ingress broken"],
  );
  assert.equal(endpointsOf(snapshot).length, 3);
  assert.ok(snapshot.routes.hosts.has("api.hadywafa.com"));
});

test("endpoints are joined over slices, without duplicates, the better state first", () => {
  const one = slice("api-service", apiPods.slice(0, 2), httpPort, "1");
  const two = slice("api-service", apiPods.slice(1), httpPort, "2");
  const stale = {
    ...slice("api-service", apiPods.slice(0, 1), httpPort, "0"),
    endpoints: [{ addresses: ["10.244.0.5"], conditions: { ready: false } }],
  };
  const snapshot = exampleSnapshot({ endpointSlices: [two, one, stale] });
  assert.deepEqual(endpointsOf(snapshot), ["10.244.0.5:8080", "10.244.0.6:8080", "10.244.1.5:8080"]);
  assert.equal(snapshot.services.get("default/api-service")?.ports[0]?.endpoints[0]?.ready, true);
});

/** Conditions of an endpoint and what they mean: ready, serving, terminating. */
const conditions: readonly (readonly [object | undefined, readonly [boolean, boolean, boolean]])[] = [
  [undefined, [true, true, false]],
  [{}, [true, true, false]],
  [{ ready: false }, [false, false, false]],
  [{ ready: false, serving: true, terminating: true }, [false, true, true]],
  [{ ready: true, terminating: false }, [true, true, false]],
];

test("missing conditions have the meaning of the EndpointSlice API", () => {
  for (const [given, expected] of conditions) {
    const endpointSlice = {
      ...slice("api-service", apiPods.slice(0, 1), httpPort),
      endpoints: [{ addresses: ["10.244.0.5"], ...(given && { conditions: given }) }],
    };
    const snapshot = exampleSnapshot({ endpointSlices: [endpointSlice] });
    const found = snapshot.services.get("default/api-service")?.ports[0]?.endpoints[0];
    assert.deepEqual([found?.ready, found?.serving, found?.terminating], expected, JSON.stringify(given));
  }
});

test("a named targetPort may be another number in each slice", () => {
  const snapshot = exampleSnapshot({
    endpointSlices: [
      slice("api-service", apiPods.slice(0, 1), [{ port: 8080 }], "1"),
      slice("api-service", apiPods.slice(1, 2), [{ port: 9090 }], "2"),
      slice("api-service", apiPods.slice(2), [{ name: "other", port: 1 }], "3"),
    ],
  });
  assert.deepEqual(endpointsOf(snapshot), ["10.244.0.5:8080", "10.244.0.6:9090"]);
});

test("the address of a pod on the host's network or of one that ended is not a pod's", () => {
  const ended = {
    ...pod("ended", { node: "node-a", address: "10.244.0.9" }),
    status: { phase: "Failed", podIP: "10.244.0.9" },
  };
  const host = pod("host", { node: "node-a", address: "172.30.0.11" });
  const hosted = { ...host, spec: { ...(host["spec"] as object), hostNetwork: true } };
  const snapshot = exampleSnapshot({ pods: [...apiPods, ended, hosted] });
  assert.deepEqual(
    [...snapshot.podsByAddress.values()].map(({ name }) => name),
    ["api-1", "api-2", "api-3"],
  );
  assert.equal(snapshot.pods.get("default/host")?.hostNetwork, true);
});

test("a node without address or pod network is left out and reported", () => {
  const bare = { kind: "Node", metadata: { name: "bare" } };
  const half = { ...node("half", "172.30.0.13", "10.244.2.0/24"), spec: {} };
  const snapshot = exampleSnapshot({ nodes: [bare, half] });
  assert.equal(snapshot.nodes.size, 0);
  assert.deepEqual(
    snapshot.findings.filter((f) => f.object.kind === "Node").map((f) => f.field),
    ["status.addresses", "spec.podCIDR"],
  );
});

/** What would become words of nft or ip if it were taken as it is. */
const forged: readonly (readonly [
  what: string,
  snapshot: Snapshot,
  found: (snapshot: Snapshot) => unknown,
])[] = [
  [
    "a node's address",
    exampleSnapshot({ nodes: [node("x", "172.30.0.13; drop", "10.244.2.0/24")] }),
    ({ nodes }) => [...nodes.keys()],
  ],
  [
    "a pod network",
    exampleSnapshot({ nodes: [node("x", "172.30.0.13", "10.244.2.0/24\nlink delete eth0")] }),
    ({ nodes }) => [...nodes.keys()],
  ],
  [
    "a load-balancer address",
    exampleSnapshot({
      services: [
        service(
          "api-service",
          {},
          { clusterIP: "10.96.1.1", status: { loadBalancer: { ingress: [{ ip: "1.1.1.1 }; x {" }] } } },
        ),
      ],
    }),
    ({ services }) => services.get("default/api-service")?.loadBalancerIPs,
  ],
];
for (const [what, snapshot, found] of forged) {
  test(`${what} that is none is not taken over`, () => assert.deepEqual(found(snapshot), []));
}

test("a tunnel end that is no MAC address counts as not announced", () => {
  const liar = node("liar", "172.30.0.13", "10.244.2.0/24");
  const annotations = { "flannel.alpha.coreos.com/backend-data": '{"VtepMAC":"02:00 dev lo"}' };
  const snapshot = exampleSnapshot({ nodes: [{ ...liar, metadata: { name: "liar", annotations } }] });
  assert.equal(snapshot.nodes.get("liar")?.vtepMac, undefined);
});

test("a load-balancer address in mode Proxy is not for the nodes' rules", () => {
  const lb = service(
    "api-service",
    { app: "api" },
    {
      clusterIP: "10.96.1.1",
      more: { type: "LoadBalancer" },
      status: {
        loadBalancer: { ingress: [{ ip: "1.1.1.1", ipMode: "Proxy" }, { ip: "2.2.2.2" }, { hostname: "x" }] },
      },
    },
  );
  const snapshot = exampleSnapshot({ services: [lb] });
  const model = snapshot.services.get("default/api-service");
  assert.deepEqual([model?.loadBalancerIPs, model?.proxiedIPs], [["2.2.2.2"], ["1.1.1.1"]]);
});

test("only the class of another load balancer is taken over", () => {
  const classOf = (loadBalancerClass: string): string | undefined => {
    const more = { type: "LoadBalancer", loadBalancerClass };
    const lb = service("api-service", { app: "api" }, { clusterIP: "10.96.1.1", more });
    return exampleSnapshot({ services: [lb] }).services.get("default/api-service")?.foreignClass;
  };
  assert.deepEqual(["example.com/lb", "inroad.dev/load-balancer"].map(classOf), [
    "example.com/lb",
    undefined,
  ]);
});

test("a headless Service without ports keeps its endpoints for DNS", () => {
  const headless = service("db", { app: "api" }, { clusterIP: "None", more: { ports: [] } });
  const snapshot = exampleSnapshot({ services: [headless], endpointSlices: [slice("db", apiPods, [])] });
  const model = snapshot.services.get("default/db");
  assert.deepEqual(model?.clusterIPs, []);
  assert.deepEqual(
    model?.portlessEndpoints?.map(({ address }) => address),
    ["10.244.0.5", "10.244.0.6", "10.244.1.5"],
  );
});

const otherClass = {
  kind: "IngressClass",
  metadata: { name: "nginx" },
  spec: { controller: "k8s.io/ingress-nginx" },
};
const notDefault = { ...ourClass, metadata: { name: "inroad" } };
const annotated = (name: string) => ({ annotations: { "kubernetes.io/ingress.class": name } });

const classes: readonly (readonly [
  name: string,
  ingressClasses: readonly KubeObject[],
  spec: object,
  more: Parameters<typeof ingress>[2],
  ours: boolean,
])[] = [
  ["no class, ours is the default", [ourClass], {}, {}, true],
  ["no class, there is no default", [notDefault], {}, {}, false],
  [
    "no class, the newest default is another's",
    [
      ourClass,
      {
        ...otherClass,
        metadata: {
          ...otherClass.metadata,
          creationTimestamp: "2026-02-01T00:00:00Z",
          annotations: ourClass.metadata?.annotations ?? {},
        },
      },
    ],
    {},
    {},
    false,
  ],
  ["our class in the field", [notDefault], { ingressClassName: "inroad" }, {}, true],
  ["our class in the annotation", [notDefault], {}, annotated("inroad"), true],
  ["another class in the field", [ourClass, otherClass], { ingressClassName: "nginx" }, {}, false],
  ["another class in the annotation", [ourClass, otherClass], {}, annotated("nginx"), false],
  ["a class that does not exist", [ourClass], { ingressClassName: "nginy" }, {}, false],
];

for (const [name, ingressClasses, spec, more, ours] of classes) {
  test(`an Ingress with ${name} is ${ours ? "" : "not "}ours`, () => {
    const rules = [rule("foo.com", "/", "api-service", 80)];
    const snapshot = exampleSnapshot({ ingressClasses, ingresses: [ingress("i", { ...spec, rules }, more)] });
    assert.equal(snapshot.routes.hosts.has("foo.com"), ours);
    assert.equal(snapshot.findings.length, ours ? 0 : 1);
  });
}

function backendOf(backend: object, changes: Partial<ClusterObjects> = {}) {
  const rules = [{ host: "foo.com", http: { paths: [{ path: "/", pathType: "Prefix", backend }] } }];
  const snapshot = exampleSnapshot({ ...changes, ingresses: [ingress("i", { rules })] });
  const path = snapshot.routes.hosts.get("foo.com")?.paths[0];
  return {
    backend: path?.backend,
    findings: findingsAbout(snapshot, { kind: "Ingress", namespace: "default", name: "i" }),
  };
}

const named = service("api-service", { app: "api" }, { clusterIP: "10.96.1.1", name: "http" });

test("a backend's port is found by number and by name", () => {
  const byNumber = backendOf({ service: { name: "api-service", port: { number: 80 } } });
  const byName = backendOf(
    { service: { name: "api-service", port: { name: "http" } } },
    { services: [named] },
  );
  for (const { backend, findings } of [byNumber, byName]) {
    assert.equal(backend?.kind === "service" && backend.port.port, 80);
    assert.deepEqual(findings, []);
  }
});

/** Backends that cannot be used: the answer, the code, the message and the mend. */
const unusable: readonly (readonly [
  backend: object,
  status: number,
  code: string,
  message: RegExp,
  mend: RegExp,
])[] = [
  [
    { service: { name: "api-servic", port: { number: 80 } } },
    503,
    "DanglingBackend",
    /^Service default\/api-servic does not exist; did you mean api-service\?$/,
    /^write api-service or correct spec\.rules\[0\]\.http\.paths\[0\]\.backend\.service\.name$/,
  ],
  [
    { service: { name: "kube-dns", port: { number: 53 } } },
    503,
    "DanglingBackend",
    /^Service default\/kube-dns does not exist$/,
    /own namespace only; kube-system\/kube-dns is in another one/,
  ],
  [
    { service: { name: "api-service", port: { number: 81 } } },
    503,
    "BackendPortMissing",
    /^Service default\/api-service has no TCP port 81; it has 80 \(http\)$/,
    /use one of the Service's ports/,
  ],
  [
    { service: { name: "api-service", port: { name: "htpp" } } },
    503,
    "BackendPortNameMissing",
    /no TCP port htpp; it has 80 \(http\); did you mean http\?/,
    /add the port to the Service/,
  ],
  [
    { resource: { apiGroup: "k8s.example.com", kind: "Bucket", name: "icons" } },
    404,
    "ResourceBackend",
    /Bucket icons is a resource backend/,
    /name a Service/,
  ],
];

for (const [given, status, code, message, mend] of unusable) {
  test(`a backend with ${code} answers ${status} and says why`, () => {
    const services = [named, ...exampleObjects().services.slice(1)];
    const { backend, findings } = backendOf(given, { services });
    assert.ok(backend?.kind === "invalid");
    assert.equal(backend.status, status);
    assert.match(backend.reason, message);
    assert.match(backend.mend, mend);
    assert.deepEqual(
      findings.map((finding) => finding.code),
      [code],
    );
    assert.equal(findings[0]?.affectsRouting, false);
  });
}

test("what did not change keeps its model", () => {
  const objects = exampleObjects();
  const before = compile(objects, { domain: "cluster.local" });
  const [apiSlice, ...otherSlices] = objects.endpointSlices;
  const after = compile(
    { ...objects, endpointSlices: [{ ...apiSlice }, ...otherSlices] },
    { domain: "cluster.local" },
  );
  const same = (key: string): boolean => before.services.get(key) === after.services.get(key);
  assert.ok(same("kube-system/kube-dns"));
  assert.ok(!same("default/api-service"));
  assert.deepEqual(before, after);
});

test("an address that was given out again belongs to the pod that does not end", () => {
  const old = pod("a-old", { node: "node-a", address: "10.244.0.5" });
  const ending = { ...old, metadata: { ...old.metadata, deletionTimestamp: "2026-01-01T00:00:00Z" } };
  const next = pod("z-new", { node: "node-a", address: "10.244.0.5" });
  for (const pods of [
    [ending, next],
    [next, { ...ending, metadata: { ...ending.metadata, name: "zz-old" } }],
  ]) {
    assert.equal(exampleSnapshot({ pods }).podsByAddress.get("10.244.0.5")?.name, "z-new");
  }
});

test("the label that keeps load balancers away from a node is read, whatever its value", () => {
  const object = node("node-a", "172.30.0.11", "10.244.0.0/24");
  const labels = { "node.kubernetes.io/exclude-from-external-load-balancers": "" };
  const nodes = [{ ...object, metadata: { ...object.metadata, labels } }];
  assert.equal(exampleSnapshot({ nodes }).nodes.get("node-a")?.excludedFromLoadBalancers, true);
  assert.equal(exampleSnapshot().nodes.get("node-a")?.excludedFromLoadBalancers, undefined);
});

test("the ranges of ClusterIPs are those of all ServiceCIDRs, each once, IPv4 first", () => {
  const range = (...cidrs: unknown[]): KubeObject => ({
    metadata: { name: String(cidrs[0]) },
    spec: { cidrs },
  });
  const serviceCIDRs = [
    range("fd00:10:96::/112", "10.97.0.0/16"),
    range("10.96.0.0/16"),
    range("10.97.0.0/16", "x"),
  ];
  assert.deepEqual(compile(exampleObjects({ serviceCIDRs }), { domain: "cluster.local" }).serviceCIDRs, [
    "10.96.0.0/16",
    "10.97.0.0/16",
    "fd00:10:96::/112",
  ]);
  assert.deepEqual(exampleSnapshot().serviceCIDRs, []);
});
