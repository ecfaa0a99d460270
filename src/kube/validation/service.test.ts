import assert from "node:assert/strict";
import { test } from "node:test";
import type { JsonObject } from "../json.ts";
import { createFindings, kindNamed, stored, updateFindings } from "../testing.ts";
import { validate } from "./index.ts";

const kind = kindNamed("Service");
const spec = { selector: { app: "web" }, ports: [{ port: 80 }] };
const service = (extra: JsonObject): JsonObject => ({
  metadata: { name: "web" },
  spec: { ...spec, ...extra },
});
const findings = (extra: JsonObject): string[] => createFindings(kind, service(extra));

test("a usual Service has no findings", () => {
  for (const extra of [
    {},
    { type: "NodePort" },
    { type: "LoadBalancer", externalTrafficPolicy: "Local", loadBalancerSourceRanges: [" 10.0.0.0/8"] },
    { clusterIP: "None" },
    { clusterIP: "None", ports: undefined, selector: undefined },
    { type: "ExternalName", externalName: "example.com.", ports: undefined },
    { externalIPs: ["010.0.0.1"] },
    { trafficDistribution: "PreferSameNode" },
  ]) {
    assert.deepEqual(findings(extra), [], JSON.stringify(extra));
  }
});

test("ports", () => {
  const range = "must be between 1 and 65535, inclusive";
  const table: readonly (readonly [unknown[], string[]])[] = [
    [[], ["spec.ports: Required value"]],
    [
      [{ port: 0 }],
      [
        `spec.ports[0].port: Invalid value: 0: ${range}`,
        `spec.ports[0].targetPort: Invalid value: 0: ${range}`,
      ],
    ],
    [[{ port: 65536, targetPort: 1 }], [`spec.ports[0].port: Invalid value: 65536: ${range}`]],
    [
      [{ port: 80, targetPort: "abcdefghijklmnop" }],
      ['spec.ports[0].targetPort: Invalid value: "abcdefghijklmnop": must be no more than 15 characters'],
    ],
    [
      [{ port: 80, protocol: "tcp" }],
      ['spec.ports[0].protocol: Unsupported value: "tcp": supported values: "SCTP", "TCP", "UDP"'],
    ],
    [
      [{ port: 80 }, { port: 81 }],
      ["spec.ports[0].name: Required value", "spec.ports[1].name: Required value"],
    ],
    [
      [
        { name: "a", port: 80 },
        { name: "a", port: 81 },
      ],
      ['spec.ports[1].name: Duplicate value: "a"'],
    ],
    [
      [
        { name: "a", port: 80 },
        { name: "b", port: 80 },
      ],
      [
        'spec.ports[1]: Duplicate value: {"Name":"","Protocol":"TCP","AppProtocol":null,"Port":80,"TargetPort":0,"NodePort":0}',
      ],
    ],
    [
      [
        { name: "a", port: 80 },
        { name: "b", port: 80, protocol: "UDP" },
      ],
      [],
    ],
    [
      [{ port: 80, nodePort: 30080 }],
      ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
    ],
  ];
  for (const [ports, expected] of table) assert.deepEqual(findings({ ports }), expected);
});

test("types, policies and what belongs to them", () => {
  const table: readonly (readonly [JsonObject, string[]])[] = [
    [
      { type: "Foo" },
      [
        'spec.type: Unsupported value: "Foo": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
      ],
    ],
    [
      { sessionAffinity: "Cookie" },
      ['spec.sessionAffinity: Unsupported value: "Cookie": supported values: "ClientIP", "None"'],
    ],
    [
      { sessionAffinity: "ClientIP", sessionAffinityConfig: { clientIP: { timeoutSeconds: 86401 } } },
      [
        "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: must be greater than 0 and less than 86400",
      ],
    ],
    [
      { externalTrafficPolicy: "Local" },
      [
        'spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services',
      ],
    ],
    [
      { type: "NodePort", externalTrafficPolicy: "X" },
      ['spec.externalTrafficPolicy: Unsupported value: "X": supported values: "Cluster", "Local"'],
    ],
    [
      { internalTrafficPolicy: "X" },
      ['spec.internalTrafficPolicy: Unsupported value: "X": supported values: "Cluster", "Local"'],
    ],
    [
      { healthCheckNodePort: 30001 },
      [
        "spec.healthCheckNodePort: Invalid value: 30001: may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
      ],
    ],
    [
      { allocateLoadBalancerNodePorts: true },
      ["spec.allocateLoadBalancerNodePorts: Forbidden: may only be used when `type` is 'LoadBalancer'"],
    ],
    [
      { loadBalancerClass: "x/y" },
      ["spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'"],
    ],
    [
      { type: "LoadBalancer", loadBalancerSourceRanges: ["10.0.0.0/33"] },
      [
        'spec.LoadBalancerSourceRanges[0]: Invalid value: "10.0.0.0/33": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)',
      ],
    ],
    [{ type: "ExternalName", ports: undefined }, ["spec.externalName: Required value"]],
    [
      { type: "LoadBalancer", clusterIP: "None" },
      ["spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for LoadBalancer services"],
    ],
    [
      { type: "LoadBalancer", ports: [{ port: 10250 }] },
      [
        "spec.ports[0]: Invalid value: 10250: may not expose port 10250 externally since it is used by kubelet",
      ],
    ],
  ];
  for (const [extra, expected] of table) assert.deepEqual(findings(extra), expected, JSON.stringify(extra));
});

test("addresses", () => {
  const table: readonly (readonly [JsonObject, string[]])[] = [
    [
      { clusterIP: "10.96.9.1", clusterIPs: ["10.96.9.2"] },
      ['spec.clusterIPs: Invalid value: ["10.96.9.2"]: first value must match `clusterIP`'],
    ],
    [
      { clusterIP: "10.96.9.1", clusterIPs: ["10.96.9.1", "10.96.9.2"] },
      [
        'spec.clusterIPs: Invalid value: ["10.96.9.1","10.96.9.2"]: may specify no more than one IP for each IP family',
      ],
    ],
    [
      { clusterIP: "x" },
      [
        'spec.clusterIPs[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
      ],
    ],
    [
      { ipFamilies: ["IPv5"] },
      ['spec.ipFamilies[0]: Unsupported value: "IPv5": supported values: "IPv4", "IPv6"'],
    ],
    [{ ipFamilies: ["IPv4", "IPv4"] }, ['spec.ipFamilies[1]: Duplicate value: "IPv4"']],
    [
      { externalIPs: ["x", "127.0.0.1", "0.0.0.0", "169.254.1.1", "224.0.0.1"] },
      [
        'spec.externalIPs[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
        'spec.externalIPs[1]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
        'spec.externalIPs[2]: Invalid value: "0.0.0.0": may not be unspecified (0.0.0.0)',
        'spec.externalIPs[3]: Invalid value: "169.254.1.1": may not be in the link-local range (169.254.0.0/16, fe80::/10)',
        'spec.externalIPs[4]: Invalid value: "224.0.0.1": may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)',
      ],
    ],
  ];
  for (const [extra, expected] of table) assert.deepEqual(findings(extra), expected, JSON.stringify(extra));
});

test("what may not change", () => {
  const old = service({ clusterIP: "10.96.9.1", type: "LoadBalancer", loadBalancerClass: "a/b" });
  const change = (extra: JsonObject): string[] =>
    updateFindings(kind, service({ type: "LoadBalancer", loadBalancerClass: "a/b", ...extra }), old);
  assert.deepEqual(change({}), []);
  assert.deepEqual(change({ clusterIP: "10.96.9.2" }), [
    'spec.clusterIPs[0]: Invalid value: ["10.96.9.2"]: may not change once set',
  ]);
  assert.deepEqual(change({ loadBalancerClass: "c/d" }), [
    'spec.loadBalancerClass: Invalid value: "c/d": may not change once set',
  ]);
  assert.deepEqual(change({ loadBalancerClass: undefined }), [
    "spec.loadBalancerClass: Invalid value: null: may not change once set",
  ]);
});

test("the primary address and family never change; the secondary ones go with the policy SingleStack", () => {
  const both = {
    clusterIP: "10.96.9.1",
    clusterIPs: ["10.96.9.1", "fd00::1"],
    ipFamilies: ["IPv4", "IPv6"],
    ipFamilyPolicy: "PreferDualStack",
  };
  const change = (extra: JsonObject): string[] =>
    updateFindings(kind, service({ ...both, ...extra }), service(both));
  const one = { clusterIPs: ["10.96.9.1"], ipFamilies: ["IPv4"] };
  assert.deepEqual(change({ ...one, ipFamilyPolicy: "SingleStack" }), []);
  assert.deepEqual(change(one), [
    "spec.ipFamilyPolicy: Invalid value: \"PreferDualStack\": must be set to 'SingleStack' when releasing the secondary clusterIP",
    "spec.ipFamilyPolicy: Invalid value: \"PreferDualStack\": must be set to 'SingleStack' when releasing the secondary ipFamily",
  ]);
  assert.deepEqual(change({ clusterIPs: ["10.96.9.1", "fd00::2"] }), [
    'spec.clusterIPs[1]: Invalid value: ["10.96.9.1","fd00::2"]: may not change once set',
  ]);
  const swapped = {
    clusterIP: "fd00::1",
    clusterIPs: ["fd00::1", "10.96.9.1"],
    ipFamilies: ["IPv6", "IPv4"],
  };
  assert.equal(change(swapped).filter((text) => text.endsWith("may not change once set")).length, 4);
});

test("a headless Service without selector may change its families", () => {
  const open = { clusterIP: "None", selector: undefined, ipFamilies: ["IPv4", "IPv6"] };
  assert.deepEqual(updateFindings(kind, service({ ...open, ipFamilies: ["IPv6"] }), service(open)), []);
});

test("only a load balancer has addresses in its status", () => {
  const status = { loadBalancer: { ingress: [{ ip: "192.0.2.1" }] } };
  const old = stored(kind, service({}));
  const errors = validate(kind, { ...old, status }, old, "status");
  assert.deepEqual(
    errors.map(({ field, message }) => `${field}: ${message}`),
    ["status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'"],
  );
  const balancer = stored(kind, service({ type: "LoadBalancer" }));
  assert.deepEqual(validate(kind, { ...balancer, status }, balancer, "status"), []);
  const ingress = [
    { ip: "192.0.2.1", ipMode: "Proxy" },
    { ip: "192.0.2.2", ipMode: "NAT" },
    { hostname: "a.b", ipMode: "VIP" },
  ];
  const wrong = validate(kind, { ...balancer, status: { loadBalancer: { ingress } } }, balancer, "status");
  assert.deepEqual(
    wrong.map(({ field, message }) => `${field}: ${message}`),
    [
      'status.loadBalancer.ingress[1].ipMode: Unsupported value: "NAT": supported values: "Proxy", "VIP"',
      "status.loadBalancer.ingress[2].ipMode: Forbidden: may not be specified when `ip` is not set",
    ],
  );
});
