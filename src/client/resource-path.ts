import type { Resource } from "#kube";

/** `apps/v1`, or `v1` for the core group. */
export function apiVersionOf(kind: Resource): string {
  return kind.group === "" ? kind.version : `${kind.group}/${kind.version}`;
}

/** The URL path of a collection, an object or a subresource (Kubernetes API concepts, "Resource URIs"). */
export function resourcePath(
  kind: Resource,
  namespace?: string,
  name?: string,
  subresource?: string,
): string {
  const parts = [
    kind.group === "" ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`,
    ...(kind.namespaced && namespace !== undefined ? ["namespaces", encodeURIComponent(namespace)] : []),
    kind.plural,
    ...(name === undefined ? [] : [encodeURIComponent(name)]),
    ...(subresource === undefined ? [] : [subresource]),
  ];
  return parts.join("/");
}

/** The path with a query of the parameters that have a value. */
export function withQuery(path: string, parameters: Readonly<Record<string, string | undefined>>): string {
  const query = Object.entries(parameters)
    .flatMap(([name, value]) => (value ? [`${name}=${encodeURIComponent(value)}`] : []))
    .join("&");
  return query === "" ? path : `${path}?${query}`;
}
