import type { KindInfo } from "#kube";

/** What a path names. */
export type Route =
  | { readonly to: "resource"; readonly target: Target }
  | { readonly to: "health"; readonly check: string; readonly verbose: boolean }
  | { readonly to: "version" }
  | { readonly to: "discovery"; readonly document: DiscoveryDocument }
  | { readonly to: "openapi"; readonly document: string | undefined }
  /** A path below a served group version that names nothing: 404 with a Status. */
  | { readonly to: "no-resource" }
  /** A path outside the API: 404 as plain text. */
  | { readonly to: "nothing" };

export type DiscoveryDocument =
  | { readonly of: "root" }
  | { readonly of: "core-versions" }
  | { readonly of: "groups" }
  | { readonly of: "group"; readonly group: string }
  | { readonly of: "resources"; readonly group: string; readonly version: string };

export interface Target {
  readonly kind: KindInfo;
  /** Undefined for cluster-wide kinds and for requests over all namespaces. */
  readonly namespace: string | undefined;
  /** Undefined for a collection. */
  readonly name: string | undefined;
  readonly subresource: string | undefined;
  /** What stands after `/proxy`, with its slash; still percent-encoded. */
  readonly rest: string;
}

/** A subresource that is no part of the registry of kinds, as discovery tells of it. */
export interface ExtraSubresource {
  readonly name: string;
  readonly verbs: readonly string[];
  readonly kind: string;
  /** Of `kind`, where it is not that of the resource. */
  readonly group?: string;
  readonly version?: string;
}

const PROXY_VERBS = ["create", "delete", "get", "patch", "update"];

export const extraSubresources: Readonly<Record<string, readonly ExtraSubresource[]>> = {
  pods: [
    { name: "binding", verbs: ["create"], kind: "Binding" },
    { name: "eviction", verbs: ["create"], kind: "Eviction", group: "policy", version: "v1" },
    { name: "log", verbs: ["get"], kind: "Pod" },
    { name: "proxy", verbs: PROXY_VERBS, kind: "PodProxyOptions" },
  ],
  nodes: [{ name: "proxy", verbs: PROXY_VERBS, kind: "NodeProxyOptions" }],
};

const NOTHING: Route = { to: "nothing" };
const NO_RESOURCE: Route = { to: "no-resource" };

/** Resolves a path (without query) against the served kinds. Throws URIError for bad percent-encoding. */
export function resolveRoute(path: string, query: URLSearchParams, kinds: readonly KindInfo[]): Route {
  const raw = path.split("/").slice(1);
  if (raw.at(-1) === "" && !raw.includes("proxy")) raw.pop();
  const parts = raw.map((part) => decodeURIComponent(part));
  const [head = "", second, third] = parts;
  if (head === "") return { to: "discovery", document: { of: "root" } };
  if (head === "version" && parts.length === 1) return { to: "version" };
  if (head === "healthz" || head === "livez" || head === "readyz") {
    return { to: "health", check: parts.slice(1).join("/"), verbose: query.has("verbose") };
  }
  if (head === "openapi" && second === "v3") {
    return { to: "openapi", document: parts.length === 2 ? undefined : parts.slice(2).join("/") };
  }
  if (head === "api") {
    if (second === undefined) return { to: "discovery", document: { of: "core-versions" } };
    return second === "v1" ? resourceRoute("", "v1", parts, raw, 2, kinds) : NO_RESOURCE;
  }
  if (head !== "apis") return NOTHING;
  if (second === undefined) return { to: "discovery", document: { of: "groups" } };
  const versions = kinds.filter((kind) => kind.group === second).map((kind) => kind.version);
  if (versions.length === 0 || second === "") return NOTHING;
  if (third === undefined) return { to: "discovery", document: { of: "group", group: second } };
  return versions.includes(third) ? resourceRoute(second, third, parts, raw, 3, kinds) : NO_RESOURCE;
}

function resourceRoute(
  group: string,
  version: string,
  parts: readonly string[],
  raw: readonly string[],
  from: number,
  kinds: readonly KindInfo[],
): Route {
  const rest = parts.slice(from);
  if (rest.length === 0) return { to: "discovery", document: { of: "resources", group, version } };
  const find = (plural: string | undefined): KindInfo | undefined =>
    kinds.find((kind) => kind.group === group && kind.version === version && kind.plural === plural);

  const scoped = rest[0] === "namespaces" && rest.length > 2 ? find(rest[2]) : undefined;
  const inNamespace = scoped?.namespaced === true;
  const kind = inNamespace ? scoped : find(rest[0]);
  const offset = inNamespace ? 3 : 1;
  if (kind === undefined) return NO_RESOURCE;
  const namespace = inNamespace ? rest[1] : undefined;
  const name = rest[offset];
  const subresource = rest[offset + 1];
  // Objects of namespaced kinds have no path without their namespace.
  if (kind.namespaced && !inNamespace && name !== undefined) return NO_RESOURCE;
  if (subresource !== undefined && !hasSubresource(kind, subresource)) return NO_RESOURCE;
  if (rest.length > offset + 2 && subresource !== "proxy") return NO_RESOURCE;
  const after = raw.slice(from + offset + 2);
  return {
    to: "resource",
    target: {
      kind,
      namespace,
      name,
      subresource,
      rest: subresource === "proxy" ? `/${after.join("/")}` : "",
    },
  };
}

function hasSubresource(kind: KindInfo, subresource: string): boolean {
  if (kind.subresources.some((known) => known === subresource)) return true;
  return (
    kind.group === "" && (extraSubresources[kind.plural] ?? []).some((known) => known.name === subresource)
  );
}
