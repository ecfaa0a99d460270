import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createTestApi } from "./testing.ts";
import type { Answer } from "./testing.ts";

const AGGREGATED = {
  accept:
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json",
};

interface Resource {
  readonly resource: string;
  readonly scope: string;
  readonly verbs: readonly string[];
  readonly shortNames?: readonly string[];
  readonly subresources?: readonly { readonly subresource: string; readonly responseKind: unknown }[];
}

const resources = (answer: Answer): readonly Resource[] =>
  (answer.body["items"] as { versions: { resources: Resource[] }[] }[]).flatMap(({ versions }) =>
    versions.flatMap((version) => version.resources),
  );

describe("discovery", () => {
  it("in the aggregated form says so in its media type", async () => {
    const api = createTestApi();
    for (const path of ["/api", "/apis"]) {
      const answer = await api.call("GET", path, undefined, AGGREGATED);
      assert.equal(
        answer.headers["content-type"],
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
      );
      assert.equal(answer.body["kind"], "APIGroupDiscoveryList");
    }
  });

  it("lists a deployment with its short name and subresources", async () => {
    const answer = await createTestApi().call("GET", "/apis", undefined, AGGREGATED);
    const found = resources(answer).find((item) => item.resource === "deployments");
    assert.deepEqual([found?.scope, found?.shortNames], ["Namespaced", ["deploy"]]);
    const scale = found?.subresources?.find((item) => item.subresource === "scale");
    assert.deepEqual(scale?.responseKind, { group: "autoscaling", version: "v1", kind: "Scale" });
  });

  it("in the older form is there as well", async () => {
    const api = createTestApi();
    assert.deepEqual((await api.call("GET", "/api")).body["versions"], ["v1"]);
    const groups = (await api.call("GET", "/apis")).body["groups"] as { name: string }[];
    assert.ok(groups.some((group) => group.name === "networking.k8s.io"));
    const list = (await api.call("GET", "/api/v1")).body["resources"] as {
      name: string;
      storageVersionHash?: string;
    }[];
    assert.equal(list.find((item) => item.name === "configmaps")?.storageVersionHash, "qFsyl6wFWjQ=");
    assert.ok(list.some((item) => item.name === "pods/log"));
  });

  it("namespaces cannot be deleted as a collection", async () => {
    const answer = await createTestApi().call("GET", "/api", undefined, AGGREGATED);
    const found = resources(answer).find((item) => item.resource === "namespaces");
    assert.equal(found?.verbs.includes("deletecollection"), false);
  });

  it("/version names a 1.34 server that is ours", async () => {
    const { body } = await createTestApi().call("GET", "/version?timeout=32s");
    assert.deepEqual([body["major"], body["minor"]], ["1", "34"]);
    assert.match(String(body["gitVersion"]), /^v1\.34\.\d+-inroad$/);
  });

  it("the OpenAPI index leads to a document for each group version", async () => {
    const api = createTestApi();
    const paths = (await api.call("GET", "/openapi/v3")).body["paths"] as Record<
      string,
      { serverRelativeURL: string }
    >;
    for (const path of ["api/v1", "apis/apps/v1", "apis/networking.k8s.io/v1"]) {
      const url = paths[path]?.serverRelativeURL ?? "";
      assert.match(url, new RegExp(`^/openapi/v3/${path}\\?hash=[0-9A-F]{128}$`));
      const document = await api.call("GET", url);
      assert.match(String(document.body["openapi"]), /^3\.0\./);
    }
    assert.equal((await api.call("GET", "/openapi/v3/apis/nope/v1")).status, 404);
    assert.equal((await api.call("GET", "/openapi/v2")).status, 404);
  });

  it("health is plain text", async () => {
    const api = createTestApi();
    assert.equal((await api.call("GET", "/readyz")).text, "ok");
    assert.match((await api.call("GET", "/readyz?verbose")).text, /check passed/);
    assert.equal((await api.call("GET", "/healthz/nope")).status, 404);
  });
});
