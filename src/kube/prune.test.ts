import assert from "node:assert/strict";
import { test } from "node:test";
import { prune, unknownFields } from "./prune.ts";
import { kindNamed } from "./testing.ts";
import { typeError, undecodable } from "./type-error.ts";

const service = kindNamed("Service");

test("unknown fields are named by their path; case matters", () => {
  const object = {
    spec: { ports: [{ Port: 80, port: 80 }], clusterip: "x", selector: { anything: "goes" } },
    metadata: { labels: { any: "thing" }, bogus: 1 },
    extra: {},
  };
  assert.deepEqual(unknownFields(service, object).toSorted(), [
    'unknown field "extra"',
    'unknown field "metadata.bogus"',
    'unknown field "spec.clusterip"',
    'unknown field "spec.ports[0].Port"',
  ]);
  assert.deepEqual(prune(service, object), {
    spec: { ports: [{ port: 80 }], selector: { anything: "goes" } },
    metadata: { labels: { any: "thing" } },
  });
});

test("a value of a wrong type is reported as the decoder does", () => {
  const table: readonly (readonly [string, Record<string, unknown>, string | undefined])[] = [
    ["ConfigMap", { data: { a: "1" } }, undefined],
    [
      "ConfigMap",
      { data: { a: 1 } },
      "json: cannot unmarshal number into Go struct field ConfigMap.data of type string",
    ],
    [
      "ConfigMap",
      { metadata: { labels: { a: true } } },
      "json: cannot unmarshal bool into Go struct field ObjectMeta.metadata.labels of type string",
    ],
    [
      "Service",
      { spec: { ports: [{ port: "80" }] } },
      "json: cannot unmarshal string into Go struct field ServicePort.spec.ports.port of type int32",
    ],
    [
      "Service",
      { spec: { ports: {} } },
      "json: cannot unmarshal object into Go struct field ServiceSpec.spec.ports of type []v1.ServicePort",
    ],
    [
      "Service",
      { spec: "x" },
      "json: cannot unmarshal string into Go struct field Service.spec of type v1.ServiceSpec",
    ],
    ["Service", { spec: { ports: [{ targetPort: "http" }, { targetPort: 80 }] } }, undefined],
    [
      "Service",
      { spec: { ports: [{ targetPort: true }] } },
      "json: cannot unmarshal bool into Go value of type int32",
    ],
    [
      "Deployment",
      { spec: { replicas: 1.5 } },
      "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
    ],
    ["Secret", { data: { a: "***" } }, "illegal base64 data at input byte 0"],
    ["Secret", { data: { a: "eA=" } }, "illegal base64 data at input byte 0"],
    [
      "Pod",
      { spec: { containers: [{ resources: { limits: { cpu: "1x" } } }] } },
      "unable to parse quantity's suffix",
    ],
    [
      "Lease",
      { spec: { renewTime: "2026-01-01T00:00:00Z" } },
      'parsing time "2026-01-01T00:00:00Z" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "Z" as ".000000"',
    ],
    ["Lease", { spec: { renewTime: "2026-01-01T00:00:00.000000Z" } }, undefined],
    [
      "Pod",
      { metadata: { creationTimestamp: "2026-13-01T00:00:00Z" } },
      'parsing time "2026-13-01T00:00:00Z": month out of range',
    ],
    ["Pod", { metadata: { creationTimestamp: null } }, undefined],
  ];
  for (const [kind, object, message] of table)
    assert.equal(typeError(kindNamed(kind), object), message, JSON.stringify(object));
  assert.equal(undecodable(kindNamed("Lease"), "x"), 'Lease in version "v1" cannot be handled as a Lease: x');
});
