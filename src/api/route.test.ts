import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { kinds } from "#kube";
import { resolveRoute } from "./route.ts";

function show(path: string): string {
  const [bare = "", query = ""] = path.split("?");
  const route = resolveRoute(bare, new URLSearchParams(query), kinds);
  if (route.to !== "resource") return JSON.stringify(route).replaceAll('"', "");
  const { kind, namespace, name, subresource, rest } = route.target;
  const parts = { ns: namespace, name, sub: subresource, rest: rest === "" ? undefined : rest };
  return `${kind.kind} ${JSON.stringify(parts).replaceAll('"', "")}`;
}

describe("what a path names", () => {
  const cases: readonly (readonly [path: string, expected: string])[] = [
    ["/api/v1/pods", "Pod {}"],
    ["/api/v1/namespaces/x/pods", "Pod {ns:x}"],
    ["/api/v1/namespaces/x/pods/p", "Pod {ns:x,name:p}"],
    ["/api/v1/namespaces/x/pods/p/log", "Pod {ns:x,name:p,sub:log}"],
    ["/api/v1/namespaces/x/pods/p:10254/proxy/a%2Fb/c/", "Pod {ns:x,name:p:10254,sub:proxy,rest:/a%2Fb/c/}"],
    ["/api/v1/nodes/n/proxy", "Node {name:n,sub:proxy,rest:/}"],
    ["/api/v1/namespaces", "Namespace {}"],
    ["/api/v1/namespaces/x", "Namespace {name:x}"],
    ["/api/v1/namespaces/pods", "Namespace {name:pods}"],
    ["/api/v1/namespaces/x/status", "Namespace {name:x,sub:status}"],
    ["/apis/apps/v1/namespaces/x/deployments/d/scale", "Deployment {ns:x,name:d,sub:scale}"],
    ["/apis/networking.k8s.io/v1/ingressclasses/i", "IngressClass {name:i}"],
    ["/apis/apps/v1/deployments/", "Deployment {}"],
    ["/api/v1/pods/p", "{to:no-resource}"],
    ["/api/v1/namespaces/x/nodes", "{to:no-resource}"],
    ["/api/v1/namespaces/x/configmaps/c/status", "{to:no-resource}"],
    ["/api/v1/foos", "{to:no-resource}"],
    ["/api/v2", "{to:no-resource}"],
    ["/apis/apps/v2/deployments", "{to:no-resource}"],
    ["/apis/nope.example.com/v1", "{to:nothing}"],
    ["/nope", "{to:nothing}"],
    ["/", "{to:discovery,document:{of:root}}"],
    ["/api", "{to:discovery,document:{of:core-versions}}"],
    ["/apis/", "{to:discovery,document:{of:groups}}"],
    ["/apis/apps", "{to:discovery,document:{of:group,group:apps}}"],
    ["/apis/apps/v1", "{to:discovery,document:{of:resources,group:apps,version:v1}}"],
    ["/openapi/v3", "{to:openapi}"],
    ["/openapi/v3/apis/apps/v1", "{to:openapi,document:apis/apps/v1}"],
    ["/openapi/v2", "{to:nothing}"],
    ["/readyz?verbose", "{to:health,check:,verbose:true}"],
    ["/version", "{to:version}"],
  ];
  for (const [path, expected] of cases)
    it(`${path} -> ${expected}`, () => assert.equal(show(path), expected));
});
