import assert from "node:assert/strict";
import { test } from "node:test";
import type { JsonObject } from "../json.ts";
import { createFindings, kindNamed, podTemplate, updateFindings, workload } from "../testing.ts";

const findings = (kind: string, spec: JsonObject): string[] =>
  createFindings(kindNamed(kind), workload(spec));

test("a workload's selector is needed, usable and fits the template", () => {
  const noMatch = "`selector` does not match template `labels`";
  const table: readonly (readonly [JsonObject, string[]])[] = [
    [{}, []],
    [
      { selector: undefined },
      [
        "spec.selector: Required value",
        `spec.template.metadata.labels: Invalid value: {"app":"web"}: ${noMatch}`,
      ],
    ],
    [{ selector: {} }, ["spec.selector: Invalid value: {}: empty selector is invalid for deployment"]],
    [
      { selector: { matchLabels: { app: "x" } } },
      [`spec.template.metadata.labels: Invalid value: {"app":"web"}: ${noMatch}`],
    ],
    [
      { selector: { matchExpressions: [{ key: "a", operator: "In" }] } },
      [
        "spec.selector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
        'spec.selector: Invalid value: {"matchExpressions":[{"key":"a","operator":"In"}]}: invalid label selector',
      ],
    ],
    [
      { template: undefined },
      [
        `spec.template.metadata.labels: Invalid value: null: ${noMatch}`,
        "spec.template.spec.containers: Required value",
      ],
    ],
  ];
  for (const [spec, expected] of table)
    assert.deepEqual(findings("Deployment", spec), expected, JSON.stringify(spec));
});

test("a Deployment's numbers and strategy", () => {
  const notNegative = "Invalid value: -1: must be greater than or equal to 0";
  const table: readonly (readonly [JsonObject, string[]])[] = [
    [{ replicas: -1 }, [`spec.replicas: ${notNegative}`]],
    [
      { revisionHistoryLimit: -1, minReadySeconds: -1 },
      [`spec.minReadySeconds: ${notNegative}`, `spec.revisionHistoryLimit: ${notNegative}`],
    ],
    [
      { progressDeadlineSeconds: 5, minReadySeconds: 5 },
      ["spec.progressDeadlineSeconds: Invalid value: 5: must be greater than minReadySeconds"],
    ],
    [
      { strategy: { rollingUpdate: { maxUnavailable: "101%" } } },
      ['spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "101%": must not be greater than 100%'],
    ],
    [
      { strategy: { rollingUpdate: { maxUnavailable: 0, maxSurge: "0%" } } },
      ["spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0"],
    ],
    [
      { strategy: { type: "Recreate", rollingUpdate: { maxSurge: 1 } } },
      ["spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"],
    ],
    [
      { strategy: { type: "BlueGreen" } },
      [
        'spec.strategy: Unsupported value: {"Type":"BlueGreen","RollingUpdate":null}: supported values: "Recreate", "RollingUpdate"',
      ],
    ],
  ];
  for (const [spec, expected] of table)
    assert.deepEqual(findings("Deployment", spec), expected, JSON.stringify(spec));
});

test("pods of a workload are restarted always and have no deadline", () => {
  const spec = { ...(podTemplate["spec"] as JsonObject), restartPolicy: "Never", activeDeadlineSeconds: 3 };
  assert.deepEqual(findings("ReplicaSet", { template: { ...podTemplate, spec } }), [
    'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
    "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported",
  ]);
});

test("a selector may not change", () => {
  const labels = { app: "x" };
  const template = { ...podTemplate, metadata: { labels } };
  for (const kind of ["Deployment", "ReplicaSet", "DaemonSet"]) {
    assert.deepEqual(
      updateFindings(kindNamed(kind), workload({ selector: { matchLabels: labels }, template }), workload()),
      ['spec.selector: Invalid value: {"matchLabels":{"app":"x"}}: field is immutable'],
      kind,
    );
  }
});

test("of a StatefulSet most may not change", () => {
  const kind = kindNamed("StatefulSet");
  assert.deepEqual(updateFindings(kind, workload({ replicas: 5 }), workload()), []);
  assert.match(
    updateFindings(kind, workload({ serviceName: "x" }), workload())[0] ?? "",
    /^spec: Forbidden: updates to statefulset spec/,
  );
});

test("policies of StatefulSets and DaemonSets", () => {
  assert.deepEqual(findings("StatefulSet", { podManagementPolicy: "X", updateStrategy: { type: "Y" } }), [
    "spec.podManagementPolicy: Invalid value: \"X\": must be 'OrderedReady' or 'Parallel'",
    'spec.updateStrategy: Invalid value: {"Type":"Y","RollingUpdate":null}: must be \'RollingUpdate\' or \'OnDelete\'',
  ]);
  const rolling = { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 0 } };
  assert.deepEqual(findings("DaemonSet", { updateStrategy: rolling }), [
    "spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0",
  ]);
});
