import { createHash } from "node:crypto";
import type { ApiResponse } from "#client";
import type { KindInfo } from "#kube";
import { apiVersionOf } from "./body.ts";
import type { Context, Request } from "./context.ts";
import { parseAccept } from "./negotiation.ts";
import { once } from "./read.ts";
import { extraSubresources } from "./route.ts";
import type { DiscoveryDocument } from "./route.ts";

/** Discovery: what is served, in the aggregated form (apidiscovery.k8s.io/v2) and the older one. */

const VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

interface SubresourceInfo {
  readonly name: string;
  readonly verbs: readonly string[];
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

const verbsOf = (kind: KindInfo): string[] =>
  kind.schema === "core.v1.Namespace" ? VERBS.filter((verb) => verb !== "deletecollection") : VERBS;

function subresourcesOf(kind: KindInfo): SubresourceInfo[] {
  const own = kind.subresources.map((name): SubresourceInfo => {
    const scale = name === "scale";
    return {
      name,
      verbs: ["get", "patch", "update"],
      group: scale ? "autoscaling" : "",
      version: scale ? "v1" : "",
      kind: scale ? "Scale" : kind.kind,
    };
  });
  const known = kind.group === "" ? (extraSubresources[kind.plural] ?? []) : [];
  const extra = known.map(({ group = "", version = "", ...item }) => ({ ...item, group, version }));
  return [...own, ...extra].sort((a, b) => (a.name < b.name ? -1 : 1));
}

export function handleDiscovery(
  context: Context,
  request: Request,
  document: DiscoveryDocument,
): ApiResponse {
  const groups = [...new Set(context.kinds.map((kind) => kind.group))].filter((group) => group !== "");
  if (document.of === "core-versions" || document.of === "groups") {
    if (wantsAggregated(request.headers["accept"])) {
      const listed = document.of === "core-versions" ? [""] : groups;
      return json(aggregated(context.kinds, listed), AGGREGATED);
    }
  }
  switch (document.of) {
    case "root":
      return json({ paths: rootPaths(context.kinds) });
    case "core-versions":
      return json({ kind: "APIVersions", versions: ["v1"], serverAddressByClientCIDRs: [] });
    case "groups":
      return json({
        kind: "APIGroupList",
        apiVersion: "v1",
        groups: groups.map((group) => groupOf(context.kinds, group)),
      });
    case "group":
      return json({ kind: "APIGroup", apiVersion: "v1", ...groupOf(context.kinds, document.group) });
    default:
      return json(resourceList(context.kinds, document.group, document.version));
  }
}

function json(value: unknown, type = "application/json"): ApiResponse {
  return { status: 200, headers: { "content-type": type }, body: once(Buffer.from(JSON.stringify(value))) };
}

function wantsAggregated(accept: string | undefined): boolean {
  const first = parseAccept(accept).find(
    ({ type, parameters }) =>
      type === "application/json" && (parameters["as"] === undefined || parameters["v"] === "v2"),
  );
  return (
    first?.parameters["as"] === "APIGroupDiscoveryList" && first.parameters["g"] === "apidiscovery.k8s.io"
  );
}

const versionsOf = (kinds: readonly KindInfo[], group: string): string[] => [
  ...new Set(kinds.filter((kind) => kind.group === group).map((kind) => kind.version)),
];

function groupOf(kinds: readonly KindInfo[], group: string): Record<string, unknown> {
  const versions = versionsOf(kinds, group).map((version) => ({
    groupVersion: `${group}/${version}`,
    version,
  }));
  return { name: group, versions, preferredVersion: versions[0] };
}

const byPlural = (a: KindInfo, b: KindInfo): number => (a.plural < b.plural ? -1 : 1);

function kindsIn(kinds: readonly KindInfo[], group: string, version: string): KindInfo[] {
  return kinds.filter((kind) => kind.group === group && kind.version === version).sort(byPlural);
}

const present = (name: string, values: readonly string[]): Record<string, readonly string[]> =>
  values.length === 0 ? {} : { [name]: values };

function aggregated(kinds: readonly KindInfo[], groups: readonly string[]): unknown {
  return {
    kind: "APIGroupDiscoveryList",
    apiVersion: "apidiscovery.k8s.io/v2",
    metadata: {},
    items: groups.map((group) => ({
      metadata: group === "" ? {} : { name: group },
      versions: versionsOf(kinds, group).map((version) => ({
        version,
        resources: kindsIn(kinds, group, version).map((kind) => aggregatedResource(kind)),
        freshness: "Current",
      })),
    })),
  };
}

function aggregatedResource(kind: KindInfo): unknown {
  const subresources = subresourcesOf(kind).map((item) => ({
    subresource: item.name,
    responseKind: { group: item.group, version: item.version, kind: item.kind },
    verbs: item.verbs,
  }));
  return {
    resource: kind.plural,
    responseKind: { group: "", version: "", kind: kind.kind },
    scope: kind.namespaced ? "Namespaced" : "Cluster",
    singularResource: kind.singular,
    verbs: verbsOf(kind),
    ...present("shortNames", kind.shortNames),
    ...present("categories", kind.categories),
    ...(subresources.length === 0 ? {} : { subresources }),
  };
}

function resourceList(kinds: readonly KindInfo[], group: string, version: string): unknown {
  const resources = kindsIn(kinds, group, version).flatMap((kind) => [
    {
      name: kind.plural,
      singularName: kind.singular,
      namespaced: kind.namespaced,
      kind: kind.kind,
      verbs: verbsOf(kind),
      ...present("shortNames", kind.shortNames),
      ...present("categories", kind.categories),
      storageVersionHash: storageVersionHash(kind),
    },
    ...subresourcesOf(kind).map((item) => ({
      name: `${kind.plural}/${item.name}`,
      singularName: "",
      namespaced: kind.namespaced,
      ...(item.group === "" ? {} : { group: item.group, version: item.version }),
      kind: item.kind,
      verbs: item.verbs,
    })),
  ]);
  const groupVersion = apiVersionOf({ group, version });
  return { kind: "APIResourceList", ...(group === "" ? {} : { apiVersion: "v1" }), groupVersion, resources };
}

/** Tells clients which kind a resource is stored as: the first 8 bytes of a SHA-256, in base64. */
function storageVersionHash(kind: KindInfo): string {
  // Events are stored as core/v1 whatever they are asked for as.
  const group = kind.kind === "Event" ? "" : kind.group;
  const digest = createHash("sha256").update(`${group}/${kind.version}/${kind.kind}`).digest();
  return digest.subarray(0, 8).toString("base64");
}

function rootPaths(kinds: readonly KindInfo[]): string[] {
  const groups = new Set<string>();
  for (const kind of kinds) {
    if (kind.group === "") continue;
    groups.add(`/apis/${kind.group}`).add(`/apis/${kind.group}/${kind.version}`);
  }
  return [
    "/api",
    "/api/v1",
    "/apis",
    ...[...groups].sort(),
    "/healthz",
    "/livez",
    "/openapi/v3",
    "/readyz",
    "/version",
  ];
}
