import type { JsonObject } from "../json.ts";
import { kinds, type KindInfo } from "../kinds.ts";
import { schemaOf } from "../schema/index.ts";
import { pathsOf, publicListName } from "./paths.ts";
import { commonSchemas, listDocument, publicName, reachableTypes, schemaDocument } from "./schemas.ts";

/** Types that every document carries, for bodies and answers of all kinds. */
const shared = ["meta.v1.DeleteOptions", "meta.v1.Status", "meta.v1.ListMeta"];

/** Types of bodies that are no kinds of the registry, by group. */
const bodies: Readonly<Record<string, readonly string[]>> = { "": ["core.v1.Binding", "policy.v1.Eviction"] };

const rootOf = ({ group, version }: KindInfo): string =>
  group === "" ? `/api/${version}` : `/apis/${group}/${version}`;

/** The kinds that a type stands for in this document: DeleteOptions stand for those of every group. */
function gvksOf(name: string, group: string, version: string): JsonObject[] {
  const kind = kinds.find((info) => info.schema === name);
  if (kind) return [{ group: kind.group, version: kind.version, kind: kind.kind }];
  const extra: Readonly<Record<string, JsonObject>> = {
    "meta.v1.DeleteOptions": { group, version, kind: "DeleteOptions" },
    "meta.v1.Status": { group: "", version: "v1", kind: "Status" },
    "autoscaling.v1.Scale": { group: "autoscaling", version: "v1", kind: "Scale" },
    "policy.v1.Eviction": { group: "policy", version: "v1", kind: "Eviction" },
    "core.v1.Binding": { group: "", version: "v1", kind: "Binding" },
  };
  const gvk = extra[name];
  return gvk ? [gvk] : [];
}

/**
 * The OpenAPI v3 document of a group and version, generated from the schema files: what `kubectl apply`, `diff` and
 * `explain` read. It has every type in full with its merge keys and list types, and all paths with their operations.
 */
export function openApiDocument(group: string, version: string): JsonObject {
  const served = kinds.filter((kind) => kind.group === group && kind.version === version);
  const scaled = served.some((kind) => kind.subresources.includes("scale")) ? ["autoscaling.v1.Scale"] : [];
  const roots = [...served.map((kind) => kind.schema), ...shared, ...scaled, ...(bodies[group] ?? [])];
  const schemas: Record<string, unknown> = { ...commonSchemas };
  for (const name of reachableTypes(roots)) {
    const schema = schemaOf(name);
    if (schema) schemas[publicName(name)] = schemaDocument(schema, gvksOf(name, group, version));
  }
  for (const kind of served) schemas[publicListName(kind)] = listDocument(kind);
  return {
    openapi: "3.0.0",
    info: { title: "Kubernetes", version: "1.34" },
    paths: Object.assign({}, ...served.map((kind) => pathsOf(kind, rootOf(kind)))),
    components: {
      schemas: Object.fromEntries(Object.entries(schemas).toSorted(([a], [b]) => (a < b ? -1 : 1))),
    },
  };
}
