/** Kinds that Inroad does not know, taken from the manifests that use them: accepted and served, not simulated. */
import { kindOf, type KindInfo, type KubeObject } from "#kube";

/** One entry per unknown kind; a CustomResourceDefinition among the objects gives its names and scope. */
export function unknownKinds(objects: readonly KubeObject[]): KindInfo[] {
  const definitions = objects.filter(({ kind }) => kind === "CustomResourceDefinition").map(definedKind);
  const found = new Map<string, KindInfo>();
  for (const object of objects) {
    const { apiVersion = "", kind = "" } = object;
    if (kindOf(apiVersion, kind) !== undefined) continue;
    const [group, version] = splitVersion(apiVersion);
    const defined = definitions.find((definition) => definition.group === group && definition.kind === kind);
    const plural = defined?.plural ?? pluralOf(kind);
    found.set(`${apiVersion} ${kind}`, {
      group,
      version,
      kind,
      plural,
      singular: kind.toLowerCase(),
      listKind: `${kind}List`,
      shortNames: [],
      categories: [],
      // Kinds of the cluster itself are rarely found in manifests with a namespace.
      namespaced: defined?.namespaced ?? !clusterWide.has(kind),
      subresources: [],
      schema: `${apiVersion}.${kind}`,
    });
  }
  return [...found.values()];
}

/** Well-known kinds without a namespace that manifests bring along. */
const clusterWide: ReadonlySet<string> = new Set([
  "ClusterRole",
  "ClusterRoleBinding",
  "CustomResourceDefinition",
  "GatewayClass",
  "MutatingWebhookConfiguration",
  "PersistentVolume",
  "PriorityClass",
  "RuntimeClass",
  "StorageClass",
  "ValidatingAdmissionPolicy",
  "ValidatingWebhookConfiguration",
]);

function splitVersion(apiVersion: string): [group: string, version: string] {
  const slash = apiVersion.indexOf("/");
  return slash < 0 ? ["", apiVersion] : [apiVersion.slice(0, slash), apiVersion.slice(slash + 1)];
}

/** The usual plural of an English kind name, in lower case. */
function pluralOf(kind: string): string {
  const name = kind.toLowerCase();
  if (/(?:s|x|z|ch|sh)$/.test(name)) return `${name}es`;
  return /[^aeiou]y$/.test(name) ? `${name.slice(0, -1)}ies` : `${name}s`;
}

interface Defined {
  readonly group: string;
  readonly kind: string;
  readonly plural: string | undefined;
  readonly namespaced: boolean;
}

function definedKind(object: KubeObject): Defined {
  const spec = fieldOf(object, "spec");
  const names = fieldOf(spec, "names");
  return {
    group: textOf(fieldOf(spec, "group")) ?? "",
    kind: textOf(fieldOf(names, "kind")) ?? "",
    plural: textOf(fieldOf(names, "plural")),
    namespaced: fieldOf(spec, "scope") !== "Cluster",
  };
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function fieldOf(value: unknown, field: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, field) : undefined;
}
