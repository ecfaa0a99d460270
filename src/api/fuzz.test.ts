import assert from "node:assert/strict";
import { it } from "node:test";
import * as fc from "fast-check";
import { kinds } from "#kube";
import type { KindInfo } from "#kube";
import { textAt } from "./fields.ts";
import { createTestApi } from "./testing.ts";

const collection = (kind: KindInfo): string => {
  const root = kind.group === "" ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`;
  return `${root}${kind.namespaced ? "/namespaces/default" : ""}/${kind.plural}`;
};

/** Values that are nearly what a field wants. */
const oddValue = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom(
    null,
    "",
    "None",
    0,
    -1,
    1e21,
    [],
    {},
    [null],
    [[]],
    [{}],
    { "": null },
    "2030-01-01T00:00:00Z",
    "80",
    "10.0.0.1",
  ),
);
const oddSpec = fc.dictionary(
  fc.constantFrom(
    "ports",
    "selector",
    "type",
    "clusterIP",
    "clusterIPs",
    "ipFamilies",
    "rules",
    "tls",
    "defaultBackend",
    "replicas",
    "template",
    "containers",
    "nodeName",
    "podCIDR",
    "taints",
    "volumes",
    "strategy",
    "externalIPs",
    "matchLabels",
  ),
  oddValue,
  { maxKeys: 6 },
);
const oddObject = fc.record(
  {
    metadata: fc.oneof(
      fc.record(
        {
          name: fc.constantFrom("a", "b", "A", ""),
          labels: oddValue,
          annotations: oddValue,
          finalizers: oddValue,
        },
        { requiredKeys: ["name"] },
      ),
      oddValue,
    ),
    spec: fc.oneof(
      oddSpec,
      fc.record({ template: fc.record({ spec: oddSpec, metadata: oddValue }), selector: oddValue }),
      oddValue,
    ),
    status: oddValue,
    data: oddValue,
    endpoints: oddValue,
    subsets: oddValue,
    involvedObject: oddValue,
  },
  { requiredKeys: ["metadata"] },
);

it("no object, however odd, makes the server fail", async () => {
  const api = createTestApi();
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...kinds),
      fc.constantFrom("POST", "PATCH"),
      oddObject,
      async (kind, method, object) => {
        const path = `${collection(kind)}${method === "POST" ? "" : "/a"}`;
        const answer = await api.call(method === "POST" ? "POST" : "PATCH", path, object);
        const known = /should not be set on objects|HealthCheck NodePort/.test(answer.text);
        assert.ok(answer.status < 500 || known, `${path} ${JSON.stringify(object)}: ${answer.text}`);
      },
    ),
    { numRuns: 1500 },
  );
});

it("no body and no query, however odd, makes the server fail", async () => {
  const api = createTestApi();
  const type = fc.constantFrom(
    "application/json",
    "application/yaml",
    "application/merge-patch+json",
    "application/json-patch+json",
    "application/strategic-merge-patch+json",
    "",
  );
  const path = fc.constantFrom(
    "/api/v1/namespaces/default/configmaps",
    "/api/v1/namespaces/default/configmaps/a",
    "/apis/apps/v1/namespaces/default/deployments/a/scale",
  );
  const query = fc.dictionary(
    fc.constantFrom(
      "limit",
      "continue",
      "labelSelector",
      "fieldSelector",
      "dryRun",
      "fieldValidation",
      "resourceVersion",
      "timeoutSeconds",
    ),
    fc.string(),
  );
  await api.call("POST", "/api/v1/namespaces/default/configmaps", { metadata: { name: "a" } });
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom("GET", "POST", "PUT", "PATCH", "DELETE"),
      path,
      query,
      type,
      fc.oneof(fc.string(), fc.json()),
      async (method, target, parameters, contentType, body) => {
        const answer = await api.call(
          method,
          `${target}?${new URLSearchParams(parameters).toString()}`,
          body,
          { "content-type": contentType },
        );
        const said = textAt(answer.body, "message");
        assert.ok(
          answer.status < 500 || answer.status === 504 || !said.startsWith("Internal error"),
          `${method} ${target} ${JSON.stringify([parameters, contentType, body])}: ${answer.text}`,
        );
      },
    ),
    {
      numRuns: 1500,
      examples: [["PUT", "/api/v1/namespaces/default/configmaps/a", {}, "application/yaml", "*!"]],
    },
  );
});
