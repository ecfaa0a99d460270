import assert from "node:assert/strict";
import { test } from "node:test";
import type { JsonObject } from "../json.ts";
import { createFindings, kindNamed, updateFindings } from "../testing.ts";

const findings = (kind: string, object: JsonObject): string[] =>
  createFindings(kindNamed(kind), { metadata: { name: "a" }, ...object });
const table = (kind: string, rows: readonly (readonly [JsonObject, string[]])[]): void => {
  for (const [object, expected] of rows)
    assert.deepEqual(findings(kind, object), expected, JSON.stringify(object).slice(0, 100));
};

test("EndpointSlices", () => {
  const slice = (address: string, addressType = "IPv4"): JsonObject => ({
    addressType,
    endpoints: [{ addresses: [address] }],
    ports: [{ port: 80 }],
  });
  table("EndpointSlice", [
    [slice("10.1.2.3"), []],
    [slice("fd00::3", "IPv6"), []],
    [slice("a.example.com", "FQDN"), []],
    [{ ...slice("10.1.2.3"), addressType: undefined }, ["addressType: Required value"]],
    [
      slice("10.1.2.3", "IPv5"),
      ['addressType: Unsupported value: "IPv5": supported values: "FQDN", "IPv4", "IPv6"'],
    ],
    [slice("fd00::1"), ['endpoints[0].addresses: Invalid value: "fd00::1": must be an IPv4 address']],
    [
      slice("10.1.2.3", "IPv6"),
      ['endpoints[0].addresses: Invalid value: "10.1.2.3": must be an IPv6 address'],
    ],
    [
      slice("127.0.0.1"),
      [
        'endpoints[0].addresses[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
      ],
    ],
    [
      { addressType: "IPv4", endpoints: [{ addresses: [] }] },
      ["endpoints[0].addresses: Required value: must contain at least 1 address"],
    ],
    [
      { addressType: "IPv4", endpoints: Array.from({ length: 1001 }, () => ({ addresses: ["10.1.2.3"] })) },
      ["endpoints: Too many: 1001: must have at most 1000 items"],
    ],
    [
      { ...slice("10.1.2.3"), ports: [{ name: "a" }, { name: "a" }] },
      ['ports[1].name: Duplicate value: "a"'],
    ],
  ]);
  assert.deepEqual(
    updateFindings(
      kindNamed("EndpointSlice"),
      { metadata: { name: "a" }, ...slice("fd00::1", "IPv6") },
      { metadata: { name: "a" }, ...slice("10.1.2.3") },
    ),
    ['addressType: Invalid value: "IPv6": field is immutable'],
  );
});

test("Endpoints", () => {
  table("Endpoints", [
    [{ subsets: [{ addresses: [{ ip: "10.1.2.3" }], ports: [{ port: 80 }] }] }, []],
    [{ subsets: [{}] }, ["subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"]],
    [
      { subsets: [{ addresses: [{ ip: "10.1.2.3" }], ports: [{ port: 80 }, { port: 81 }] }] },
      ["subsets[0].ports[0].name: Required value", "subsets[0].ports[1].name: Required value"],
    ],
  ]);
});

test("Secrets by their type", () => {
  table("Secret", [
    [{ data: { a: "eA==" } }, []],
    [{ type: "kubernetes.io/tls", data: { "tls.key": "eA==" } }, ["data[tls.crt]: Required value"]],
    [{ type: "kubernetes.io/tls", stringData: { "tls.key": "x", "tls.crt": "y" } }, []],
    [{ type: "kubernetes.io/dockerconfigjson" }, ["data[.dockerconfigjson]: Required value"]],
    [
      { type: "kubernetes.io/basic-auth" },
      ["data[username]: Required value", "data[password]: Required value"],
    ],
    [{ type: "kubernetes.io/basic-auth", stringData: { username: "u" } }, []],
    [{ type: "kubernetes.io/ssh-auth" }, ["data[ssh-privatekey]: Required value"]],
    [
      { type: "kubernetes.io/service-account-token" },
      ["metadata.annotations[kubernetes.io/service-account.name]: Required value"],
    ],
    [{ stringData: { a: "x".repeat(1_100_000) } }, ["data: Too long: may not be more than 1048576 bytes"]],
  ]);
  const [secret] = findings("Secret", {
    type: "kubernetes.io/dockerconfigjson",
    stringData: { ".dockerconfigjson": "hunter2" },
  });
  assert.equal(secret, 'data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": invalid JSON');
});

test("ConfigMaps, and what immutable means", () => {
  table("ConfigMap", [
    [{ data: { ".": "y" } }, ["data[.]: Invalid value: \".\": must not be '.'"]],
    [
      { data: { a: "x" }, binaryData: { a: "eA==" } },
      ['data[a]: Invalid value: "a": duplicate of key present in binaryData'],
    ],
  ]);
  const frozen = "Forbidden: field is immutable when `immutable` is set";
  for (const kind of ["ConfigMap", "Secret"]) {
    const old = { metadata: { name: "a" }, data: { a: "eA==" }, immutable: true };
    assert.deepEqual(updateFindings(kindNamed(kind), { ...old, data: { a: "eQ==" } }, old), [
      `data: ${frozen}`,
    ]);
    assert.deepEqual(updateFindings(kindNamed(kind), { ...old, immutable: undefined }, old), [
      `immutable: ${frozen}`,
    ]);
  }
  const secret = { metadata: { name: "a" } };
  assert.deepEqual(updateFindings(kindNamed("Secret"), { ...secret, type: "x" }, secret), [
    'type: Invalid value: "x": field is immutable',
  ]);
});

test("Nodes", () => {
  const cidr = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
  table("Node", [
    [{ spec: { podCIDR: "10.1.0.0/24", podCIDRs: ["10.1.0.0/24", "fd00::/64"] } }, []],
    [{ spec: { podCIDRs: ["x"] } }, [`spec.podCIDRs[0]: Invalid value: "x": ${cidr}`]],
    [
      { spec: { podCIDRs: ["10.1.0.0/24", "10.2.0.0/24"] } },
      [
        'spec.podCIDRs: Invalid value: ["10.1.0.0/24","10.2.0.0/24"]: may specify no more than one CIDR for each IP family',
      ],
    ],
    [
      { spec: { taints: [{ key: "a", effect: "X" }] } },
      [
        'spec.taints[0].effect: Unsupported value: "X": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"',
      ],
    ],
  ]);
});

test("Namespaces, Leases, Events, claims", () => {
  assert.match(
    findings("Namespace", { metadata: { name: "A" } })[0] ?? "",
    /^metadata.name: Invalid value: "A": a lowercase RFC 1123 label/,
  );
  table("Lease", [
    [{ spec: { leaseDurationSeconds: 15 } }, []],
    [
      { spec: { leaseDurationSeconds: 0, leaseTransitions: -1 } },
      [
        "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
        "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0",
      ],
    ],
  ]);
  table("Event", [
    [
      { metadata: { name: "e", namespace: "a" }, involvedObject: { namespace: "b" } },
      ['involvedObject.namespace: Invalid value: "b": does not match event.namespace'],
    ],
    [{ metadata: { name: "e", namespace: "default" }, involvedObject: { kind: "Node", name: "n" } }, []],
  ]);
  table("PersistentVolumeClaim", [
    [{ spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } } }, []],
    [
      { spec: {} },
      [
        "spec.accessModes: Required value: at least 1 access mode is required",
        "spec.resources[storage]: Required value",
      ],
    ],
  ]);
});

test("NetworkPolicies", () => {
  const from = (peer: JsonObject): JsonObject => ({ spec: { podSelector: {}, ingress: [{ from: [peer] }] } });
  const at = "spec.ingress[0].from[0]";
  table("NetworkPolicy", [
    [from({ ipBlock: { cidr: "10.0.0.0/8", except: ["10.1.0.0/16"] } }), []],
    [from({}), [`${at}: Required value: must specify a peer`]],
    [
      from({ ipBlock: { cidr: "10.0.0.0/8" }, podSelector: {} }),
      [`${at}: Forbidden: may not specify both ipBlock and another peer`],
    ],
    [
      from({ ipBlock: { cidr: "10.0.0.0/8", except: ["11.0.0.0/16"] } }),
      [`${at}.ipBlock.except[0]: Invalid value: "11.0.0.0/16": must be a strict subset of \`cidr\``],
    ],
    [
      { spec: { podSelector: {}, policyTypes: ["Ingress", "Egress", "Ingress"] } },
      [
        'spec.policyTypes: Invalid value: ["Ingress","Egress","Ingress"]: may not specify more than two policyTypes',
      ],
    ],
    [
      { spec: { podSelector: {}, egress: [{ ports: [{ port: "http", endPort: 80 }] }] } },
      ["spec.egress[0].ports[0].endPort: Invalid value: 80: may not be specified when `port` is non-numeric"],
    ],
  ]);
});
