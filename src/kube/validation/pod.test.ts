import assert from "node:assert/strict";
import { test } from "node:test";
import { objectAt, type JsonObject } from "../json.ts";
import { createFindings, kindNamed, stored, updateFindings } from "../testing.ts";
import { validate } from "./index.ts";

const kind = kindNamed("Pod");
const container = { name: "c", image: "example.com/app:1" };
const pod = (spec: JsonObject): JsonObject => ({
  metadata: { name: "p" },
  spec: { containers: [container], ...spec },
});
const findings = (spec: JsonObject): string[] => createFindings(kind, pod(spec));
const ofContainer = (fields: JsonObject): string[] =>
  findings({ containers: [{ ...container, ...fields }] }).map((line) =>
    line.replace("spec.containers[0].", ""),
  );

test("containers", () => {
  const table: readonly (readonly [JsonObject, string[]])[] = [
    [{}, []],
    [{ containers: [] }, ["spec.containers: Required value"]],
    [
      { containers: [{}] },
      ["spec.containers[0].name: Required value", "spec.containers[0].image: Required value"],
    ],
    [{ containers: [container, container] }, ['spec.containers[1].name: Duplicate value: "c"']],
    [{ initContainers: [container] }, ['spec.initContainers[0].name: Duplicate value: "c"']],
    [
      { initContainers: [{ ...container, name: "i", readinessProbe: { exec: { command: ["a"] } } }] },
      [
        "spec.initContainers[0].readinessProbe: Forbidden: may not be set for init containers without restartPolicy=Always",
      ],
    ],
    [
      {
        initContainers: [
          { ...container, name: "i", restartPolicy: "Always", readinessProbe: { tcpSocket: { port: 1 } } },
        ],
      },
      [],
    ],
  ];
  for (const [spec, expected] of table) assert.deepEqual(findings(spec), expected, JSON.stringify(spec));
  assert.deepEqual(ofContainer({ image: " x" }), [
    'image: Invalid value: " x": must not have leading or trailing whitespace',
  ]);
  assert.deepEqual(ofContainer({ imagePullPolicy: "X" }), [
    'imagePullPolicy: Unsupported value: "X": supported values: "Always", "IfNotPresent", "Never"',
  ]);
});

test("ports of containers", () => {
  const ports = [
    { containerPort: 0 },
    { containerPort: 70000, hostPort: 70000, protocol: "X" },
    { containerPort: 80, name: "a" },
    { containerPort: 81, name: "a" },
  ];
  const range = "must be between 1 and 65535, inclusive";
  assert.deepEqual(ofContainer({ ports }), [
    "ports[0].containerPort: Required value",
    `ports[1].containerPort: Invalid value: 70000: ${range}`,
    `ports[1].hostPort: Invalid value: 70000: ${range}`,
    'ports[1].protocol: Unsupported value: "X": supported values: "SCTP", "TCP", "UDP"',
    'ports[3].name: Duplicate value: "a"',
  ]);
  const clash = [
    { containerPort: 80, hostPort: 80 },
    { containerPort: 81, hostPort: 80 },
  ];
  assert.deepEqual(ofContainer({ ports: clash }), ['ports[1].hostPort: Duplicate value: "TCP//80"']);
  assert.deepEqual(ofContainer({ ports: [{ containerPort: 80 }, { containerPort: 80 }] }), []);
});

test("probes and hooks", () => {
  const probe = (fields: JsonObject): string[] => ofContainer({ readinessProbe: fields });
  assert.deepEqual(probe({}), ["readinessProbe: Required value: must specify a handler type"]);
  assert.deepEqual(probe({ httpGet: { port: "http" }, timeoutSeconds: -1 }), [
    "readinessProbe.timeoutSeconds: Invalid value: -1: must be greater than or equal to 0",
  ]);
  assert.deepEqual(probe({ httpGet: { port: 0 } }), [
    "readinessProbe.httpGet.port: Invalid value: 0: must be between 1 and 65535, inclusive",
  ]);
  assert.deepEqual(probe({ exec: { command: ["a"] }, tcpSocket: { port: 1 } }), [
    "readinessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
  ]);
  assert.deepEqual(ofContainer({ livenessProbe: { tcpSocket: { port: 80 }, successThreshold: 2 } }), [
    "livenessProbe.successThreshold: Invalid value: 2: must be 1",
  ]);
  assert.deepEqual(ofContainer({ lifecycle: { preStop: { exec: {} } } }), [
    "lifecycle.preStop.exec.command: Required value",
  ]);
});

test("environment", () => {
  const env = (variable: JsonObject): string[] => ofContainer({ env: [variable] });
  assert.deepEqual(env({ name: "A", value: "x" }), []);
  assert.deepEqual(env({ name: "A", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } }), []);
  assert.deepEqual(env({ name: "A", valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } }), []);
  assert.deepEqual(env({ name: "" }), ["env[0].name: Required value"]);
  assert.deepEqual(env({ name: "A", value: "x", valueFrom: { secretKeyRef: { name: "s", key: "k" } } }), [
    'env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty',
  ]);
  assert.deepEqual(env({ name: "A", valueFrom: { fieldRef: { fieldPath: "x.y" } } }), [
    'env[0].valueFrom.fieldRef.fieldPath: Invalid value: "x.y": error converting fieldPath: field label not supported: x.y',
  ]);
  assert.deepEqual(ofContainer({ envFrom: [{}] }), [
    'envFrom[0]: Invalid value: "": must specify one of: `configMapRef` or `secretRef`',
  ]);
});

test("volumes and mounts", () => {
  const volumes = [
    { name: "b", emptyDir: {}, secret: { secretName: "x" } },
    { name: "c", configMap: {} },
    { name: "c", emptyDir: {} },
    { name: "c", hostPath: { path: "/x", type: "X" } },
    { name: "f", secret: { secretName: "s", defaultMode: 512 } },
  ];
  assert.deepEqual(
    findings({ volumes }).map((line) => line.slice(0, 96)),
    [
      "spec.volumes[0].secret: Forbidden: may not specify more than 1 volume type",
      "spec.volumes[1].configMap.name: Required value",
      'spec.volumes[3].hostPath.type: Unsupported value: "X": supported values: "", "BlockDevice", "CharDev',
      'spec.volumes[3].name: Duplicate value: "c"',
      "spec.volumes[4].secret.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal)",
    ].map((line) => line.slice(0, 96)),
  );
  assert.deepEqual(ofContainer({ volumeMounts: [{ name: "x", mountPath: "/x" }] }), [
    'volumeMounts[0].name: Not found: "x"',
  ]);
});

test("resources", () => {
  const resources = { requests: { cpu: "2", memory: "-1", bogus: "1" }, limits: { cpu: "1" } };
  assert.deepEqual(ofContainer({ resources }).toSorted(), [
    'resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
    'resources.requests[bogus]: Invalid value: "bogus": must be a standard resource for containers',
    'resources.requests[bogus]: Invalid value: "bogus": must be a standard resource type or fully qualified',
    'resources.requests[memory]: Invalid value: "-1": must be greater than or equal to 0',
  ]);
  assert.deepEqual(ofContainer({ resources: { requests: { "example.com/gpu": "1" } } }), [
    "resources.limits: Required value: Limit must be set for non overcommitable resources",
  ]);
});

test("policies, names and scheduling", () => {
  const table: readonly (readonly [JsonObject, string[]])[] = [
    [
      { restartPolicy: "X" },
      ['spec.restartPolicy: Unsupported value: "X": supported values: "Always", "OnFailure", "Never"'],
    ],
    [
      { dnsPolicy: "None" },
      ["spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"],
    ],
    [{ dnsPolicy: "None", dnsConfig: { nameservers: ["10.96.0.10"], searches: ["a.local."] } }, []],
    [
      { activeDeadlineSeconds: 0 },
      ["spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive"],
    ],
    [
      { hostAliases: [{ ip: "x", hostnames: ["a"] }] },
      [
        'spec.hostAliases[0].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
      ],
    ],
    [
      { topologySpreadConstraints: [{ maxSkew: 0, topologyKey: "", whenUnsatisfiable: "X" }] },
      [
        "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
        "spec.topologySpreadConstraints[0].topologyKey: Required value: can not be empty",
        'spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: "X": supported values: "DoNotSchedule", "ScheduleAnyway"',
      ],
    ],
    [
      { tolerations: [{ key: "a", operator: "X" }] },
      ['spec.tolerations[0].operator: Unsupported value: "X": supported values: "Equal", "Exists"'],
    ],
  ];
  for (const [spec, expected] of table) assert.deepEqual(findings(spec), expected, JSON.stringify(spec));
});

test("of a pod that exists only image, deadline and tolerations may change", () => {
  const old = pod({});
  const base = objectAt(stored(kind, old), "spec");
  const change = (spec: JsonObject): string[] =>
    updateFindings(kind, { metadata: { name: "p" }, spec: { ...base, ...spec } }, old);
  assert.deepEqual(change({}), []);
  const [first] = (base["containers"] ?? []) as JsonObject[];
  assert.deepEqual(change({ containers: [{ ...first, image: "example.com/app:2" }] }), []);
  assert.deepEqual(change({ activeDeadlineSeconds: 5 }), []);
  assert.match(
    change({ hostname: "x" })[0] ?? "",
    /^spec: Forbidden: pod updates may not change fields other than/,
  );
  assert.match(change({ tolerations: [] })[0] ?? "", /^spec: Forbidden: pod updates/);
  assert.equal(change({ containers: [] })[0], "spec.containers: Required value");
});

test("a pod has at most one address of each family", () => {
  const old = stored(kind, pod({}));
  const findings = (...ips: string[]): string[] =>
    validate(kind, { ...old, status: { podIPs: ips.map((ip) => ({ ip })) } }, old, "status").map(
      ({ field, message }) => `${field}: ${message}`,
    );
  assert.deepEqual(findings("10.1.0.1", "fd00::1"), []);
  assert.deepEqual(findings("x"), [
    'status.podIPs[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
  ]);
  assert.deepEqual(findings("10.1.0.1", "10.1.0.1"), [
    'status.podIPs: Invalid value: [{"ip":"10.1.0.1"},{"ip":"10.1.0.1"}]: may specify no more than one IP for each IP family',
    'status.podIPs: Duplicate value: {"ip":"10.1.0.1"}',
  ]);
});
