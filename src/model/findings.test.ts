import assert from "node:assert/strict";
import { test } from "node:test";
import {
  apiPods,
  exampleObjects,
  exampleSnapshot,
  ingress,
  pod,
  rule,
  service,
} from "../../test/support/snapshot.ts";
import { findingsAbout } from "./findings.ts";
import { proxyProtocolOf } from "./proxy-protocol.ts";
import type { Finding } from "./types.ts";

const apiService = { kind: "Service", namespace: "default", name: "api-service" };
const others = exampleObjects().services.slice(1);

function aboutService(
  given: Parameters<typeof service>[2],
  selector = { app: "api" },
  annotations?: Record<string, string>,
) {
  const object = service("api-service", selector, given);
  const metadata = { ...object.metadata, ...(annotations === undefined ? {} : { annotations }) };
  return findingsAbout(exampleSnapshot({ services: [{ ...object, metadata }, ...others] }), apiService);
}

const codes = (findings: readonly Finding[]): readonly string[] =>
  findings.map(({ code, affectsRouting }) => `${code}${affectsRouting ? " affects routing" : ""}`);

test("a selector that matches nothing names the labels that pods have", () => {
  const [finding] = aboutService({ clusterIP: "10.96.1.1" }, { app: "api-svc" });
  assert.equal(finding?.code, "SelectorMatchesNoPod");
  assert.equal(finding.message, "selector app=api-svc; pods have app=api");
  assert.equal(finding.mend, "write app: api in the selector, or label the pods app=api-svc");
  assert.equal(finding.affectsRouting, false);
});

test("a selector whose labels no single pod has together is reported", () => {
  const pods = [
    pod("a", { node: "node-a", address: "10.244.0.5", labels: { app: "api", tier: "x" } }),
    pod("b", { node: "node-a", address: "10.244.0.6", labels: { app: "b", tier: "y" } }),
  ];
  const services = [service("api-service", { app: "api", tier: "y" }, { clusterIP: "10.96.1.1" })];
  const [finding] = findingsAbout(exampleSnapshot({ pods, services }), apiService);
  assert.equal(finding?.message, "selector app=api,tier=y matches no pod in namespace default");
});

test("a targetPort name that no selected pod has is reported", () => {
  const [finding] = aboutService({ clusterIP: "10.96.1.1", targetPort: "http" });
  assert.equal(finding?.code, "TargetPortNameMissing");
  assert.equal(finding.field, "spec.ports[0].targetPort");
  const named = [
    ...apiPods.slice(1),
    pod("api-1", { node: "node-a", address: "10.244.0.5", portName: "http" }),
  ];
  const services = [service("api-service", { app: "api" }, { clusterIP: "10.96.1.1", targetPort: "http" })];
  assert.deepEqual(findingsAbout(exampleSnapshot({ pods: named, services }), apiService), []);
});

/** Fields of a Service's spec, and what is said of them. */
const fields: readonly (readonly [more: Record<string, unknown>, expected: readonly string[]])[] = [
  [{ sessionAffinity: "ClientIP" }, []],
  [{ trafficDistribution: "PreferSameZone" }, []],
  [{ loadBalancerSourceRanges: ["10.0.0.0/8"] }, []],
  [{ externalIPs: ["192.0.2.1"] }, ["ExternalIPsOff"]],
  [{ ports: [{ protocol: "SCTP", port: 80, targetPort: 80 }] }, ["NotImplemented"]],
  [{ ipFamilies: ["IPv4", "IPv6"] }, []],
];

/** The scheduler that is asked for, and what is said of it. */
const schedulers: readonly (readonly [scheduler: string, expected: readonly string[]])[] = [
  ["rr", []],
  ["wrr", []],
  ["sh", ["SchedulerByMode"]],
  ["lc", ["SchedulerByMode"]],
  ["fastest", ["UnknownScheduler"]],
];

test("a scheduler that is not there, or not in every mode, is reported", () => {
  for (const [scheduler, expected] of schedulers) {
    const annotations = { "inroad.dev/scheduler": scheduler };
    const findings = aboutService({ clusterIP: "10.96.1.1" }, { app: "api" }, annotations);
    assert.deepEqual(codes(findings), expected, scheduler);
  }
});

/** The algorithm that is asked for, with an affinity, and what is said of it. */
const algorithms: readonly (readonly [algorithm: string, affinity: string, expected: readonly string[]])[] = [
  ["round-robin", "None", []],
  ["source-hash", "None", []],
  ["connection-hash", "None", []],
  ["source-hash", "ClientIP", []],
  ["round-robin", "ClientIP", ["LoadBalancerAlgorithmOverruled"]],
  ["fastest", "None", ["UnknownLoadBalancerAlgorithm"]],
];

test("a load-balancer algorithm that is not there, or overruled, is reported", () => {
  for (const [algorithm, sessionAffinity, expected] of algorithms) {
    const annotations = { "inroad.dev/load-balancer-algorithm": algorithm };
    const service = { clusterIP: "10.96.1.1", more: { sessionAffinity } };
    assert.deepEqual(codes(aboutService(service, { app: "api" }, annotations)), expected, algorithm);
  }
});

const aws = "service.beta.kubernetes.io/aws-load-balancer-proxy-protocol";
const digitalOcean = "service.beta.kubernetes.io/do-loadbalancer-enable-proxy-protocol";

/** An annotation that asks for the PROXY protocol, what is read of it, and what is said. */
const proxyProtocols: readonly (readonly [
  annotation: string,
  value: string,
  read: string | undefined,
  expected: readonly string[],
])[] = [
  ["inroad.dev/proxy-protocol", "v1", "v1", ["ProxyProtocolByMode"]],
  ["inroad.dev/proxy-protocol", "v2", "v2", ["ProxyProtocolByMode"]],
  ["inroad.dev/proxy-protocol", "v3", undefined, ["UnknownProxyProtocol affects routing"]],
  [aws, "*", "v1", ["ProxyProtocolByMode"]],
  [aws, "80", undefined, ["UnknownProxyProtocol affects routing"]],
  [digitalOcean, "true", "v1", ["ProxyProtocolByMode"]],
  [digitalOcean, "false", undefined, []],
];

test("annotations that ask for the PROXY protocol are read, and values that nobody knows are reported", () => {
  const ports = [{ protocol: "TCP", port: 80, targetPort: 8080, nodePort: 30_099 }];
  for (const [annotation, value, read, expected] of proxyProtocols) {
    const given = { clusterIP: "10.96.1.1", more: { type: "LoadBalancer", ports } };
    const findings = aboutService(given, { app: "api" }, { [annotation]: value });
    assert.deepEqual(codes(findings), expected, `${annotation}: ${value}`);
    const object = { kind: "Service", metadata: { annotations: { [annotation]: value } } };
    assert.equal(proxyProtocolOf(object), read);
  }
});

test("our ingress does not read PROXY headers, and its Service says so", () => {
  const about = { kind: "Service", namespace: "inroad-system", name: "inroad-ingress" };
  const services = exampleObjects().services.map((object) => {
    const annotations = { "inroad.dev/proxy-protocol": "v2" };
    return object.metadata?.name === about.name
      ? { ...object, metadata: { ...object.metadata, annotations } }
      : object;
  });
  const found = codes(findingsAbout(exampleSnapshot({ services }), about));
  assert.ok(found.includes("ProxyProtocolNotRead affects routing"), found.join());
  assert.deepEqual(codes(findingsAbout(exampleSnapshot(), about)), []);
});

test("ports that the PROXY protocol cannot be spoken on are reported", () => {
  const ports = [
    { name: "bare", protocol: "TCP", port: 80, targetPort: 8080 },
    { name: "dns", protocol: "UDP", port: 53, targetPort: 5353, nodePort: 30_053 },
  ];
  const given = { clusterIP: "10.96.1.1", more: { type: "LoadBalancer", ports } };
  const findings = aboutService(given, { app: "api" }, { "inroad.dev/proxy-protocol": "v2" });
  const about = findings.filter(({ code }) => code === "ProxyProtocolPort");
  assert.deepEqual(
    about.map(({ field }) => field),
    ["spec.ports[0]", "spec.ports[1]"],
  );
});

test("fields of a Service that are not carried out everywhere are reported", () => {
  for (const [more, expected] of fields) {
    assert.deepEqual(codes(aboutService({ clusterIP: "10.96.1.1", more })), expected, JSON.stringify(more));
  }
});

test("annotations of a Service by which other products route are reported", () => {
  const annotations = {
    "service.cilium.io/affinity": "local",
    "service.kubernetes.io/topology-mode": "Auto",
    "example.com/owner": "me",
  };
  assert.deepEqual(codes(aboutService({ clusterIP: "10.96.1.1" }, { app: "api" }, annotations)), [
    "UnknownAnnotation affects routing",
  ]);
});

test("annotations of MetalLB that are followed are no findings, all others could change routing", () => {
  const of = (annotations: Record<string, string>) =>
    codes(aboutService({ clusterIP: "10.96.1.1" }, { app: "api" }, annotations));
  assert.deepEqual(of({ "metallb.io/address-pool": "a", "metallb.universe.tf/allow-shared-ip": "k" }), []);
  for (const prefix of ["metallb.io/", "metallb.universe.tf/"])
    assert.deepEqual(of({ [`${prefix}allow-everything`]: "x" }), ["UnknownAnnotation affects routing"]);
  assert.deepEqual(of({ "metallb.io/address-pool": "a", "metallb.universe.tf/address-pool": "b" }), [
    "AnnotationOverruled",
  ]);
});

/** Annotations of an Ingress, and how many of them could change routing. */
const annotations: readonly (readonly [key: string, count: number])[] = [
  ["nginx.ingress.kubernetes.io/rewrite-target", 1],
  ["traefik.ingress.kubernetes.io/router.middlewares", 1],
  ["alb.ingress.kubernetes.io/scheme", 1],
  ["inroad.dev/something", 1],
  ["cert-manager.io/cluster-issuer", 0],
  ["kubectl.kubernetes.io/last-applied-configuration", 0],
  ["kubernetes.io/ingress.class", 0],
  ["external-dns.alpha.kubernetes.io/hostname", 0],
];

test("annotations of an Ingress by which other controllers route are reported", () => {
  for (const [key, count] of annotations) {
    const rules = [rule("foo.com", "/", "api-service", 80)];
    const ingresses = [ingress("i", { rules }, { annotations: { [key]: "inroad" } })];
    const findings = exampleSnapshot({ ingresses }).findings.filter(({ affectsRouting }) => affectsRouting);
    assert.equal(findings.length, count, key);
  }
});

const findingsOfPath = (path: string, pathType: string) =>
  codes(
    exampleSnapshot({
      ingresses: [ingress("i", { rules: [rule("foo.com", path, "api-service", 80, pathType)] })],
    }).findings,
  );

test("a path that looks like a regular expression is reported when its type is left to the implementation", () => {
  assert.deepEqual(findingsOfPath("/api(/|$)(.*)", "ImplementationSpecific"), ["RegexPath affects routing"]);
  assert.deepEqual(findingsOfPath("/api", "ImplementationSpecific"), []);
  assert.deepEqual(findingsOfPath("/a.b", "Prefix"), []);
});

test("a path that an older Ingress has already is reported with its owner", () => {
  const rules = [rule("foo.com", "/x", "api-service", 80)];
  const snapshot = exampleSnapshot({
    ingresses: [
      ingress("newer", { rules }, { created: "2026-02-01T00:00:00Z" }),
      ingress("older", { rules }),
      ingress("exact", { rules: [rule("foo.com", "/x", "api-service", 80, "Exact")] }),
    ],
  });
  assert.deepEqual(
    snapshot.findings.map(({ code, object, message }) => [code, object.name, message]),
    [
      [
        "PathConflict",
        "newer",
        "host foo.com and path /x are taken by default/older spec.rules[0].http.paths[0], which came first; this path is never used",
      ],
    ],
  );
});

test("an ExternalName behind an Ingress could change where requests go", () => {
  const external = {
    kind: "Service",
    metadata: { name: "out", namespace: "default" },
    spec: { type: "ExternalName", externalName: "example.com" },
  };
  const snapshot = exampleSnapshot({
    services: [...exampleObjects().services, external],
    ingresses: [ingress("i", { rules: [rule("foo.com", "/", "out", 80)] })],
  });
  assert.deepEqual(codes(snapshot.findings), ["ExternalNameBackend affects routing"]);
  assert.equal(snapshot.routes.hosts.get("foo.com")?.paths[0]?.backend.kind, "invalid");
});
