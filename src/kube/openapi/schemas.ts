import type { JsonObject } from "../json.ts";
import type { KindInfo } from "../kinds.ts";
import { schemaOf } from "../schema/index.ts";
import type { Field, FieldType, Scalar, TypeSchema } from "../schema/types.ts";

/** `core.v1.Pod` -> `io.k8s.api.core.v1.Pod`, the names under which clients know the types. */
export function publicName(name: string): string {
  return name.startsWith("meta.v1.") ? `io.k8s.apimachinery.pkg.apis.${name}` : `io.k8s.api.${name}`;
}

export const reference = (name: string): JsonObject => ({ $ref: `#/components/schemas/${name}` });

/** Scalars that are types of their own in the document. */
const named: Partial<Record<Scalar, string>> = {
  "int-or-string": "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
  quantity: "io.k8s.apimachinery.pkg.api.resource.Quantity",
  time: "io.k8s.apimachinery.pkg.apis.meta.v1.Time",
  "micro-time": "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime",
};

/** The types behind those names, and the body of a patch. */
export const commonSchemas: JsonObject = {
  "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {
    format: "int-or-string",
    oneOf: [{ type: "integer" }, { type: "string" }],
  },
  "io.k8s.apimachinery.pkg.api.resource.Quantity": { oneOf: [{ type: "string" }, { type: "number" }] },
  "io.k8s.apimachinery.pkg.apis.meta.v1.Time": { type: "string", format: "date-time" },
  "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": { type: "string", format: "date-time" },
  "io.k8s.apimachinery.pkg.apis.meta.v1.Patch": { type: "object" },
};

const plain: Partial<Record<Scalar, JsonObject>> = {
  string: { type: "string" },
  int32: { type: "integer", format: "int32" },
  int64: { type: "integer", format: "int64" },
  bool: { type: "boolean" },
  bytes: { type: "string", format: "byte" },
  object: { type: "object" },
};
const zeros: Partial<Record<Scalar, unknown>> = { string: "", int32: 0, int64: 0, bool: false };

function typeDocument(type: FieldType): JsonObject {
  if (type.is === "type") return { allOf: [reference(publicName(type.name))] };
  if (type.is === "list") return { type: "array", items: itemDocument(type.item) };
  if (type.is === "map") return { type: "object", additionalProperties: itemDocument(type.item) };
  const name = named[type.scalar];
  return name === undefined ? { ...plain[type.scalar] } : { allOf: [reference(name)] };
}

/** Items of lists and maps have the zero value as their default. */
function itemDocument(type: FieldType): JsonObject {
  const document = typeDocument(type);
  if (type.is === "type") return { ...document, default: {} };
  const name = type.is === "scalar" ? named[type.scalar] : undefined;
  if (name !== undefined) return reference(name);
  const zero = type.is === "scalar" ? zeros[type.scalar] : undefined;
  return zero === undefined ? document : { ...document, default: zero };
}

function defaultOf(field: Field): unknown {
  const { type } = field;
  if (type.is === "type") return field.pointer ? undefined : {};
  if (type.is !== "scalar") return undefined;
  if (field.default !== undefined) return field.default;
  return field.always && !field.pointer ? zeros[type.scalar] : undefined;
}

function fieldDocument(field: Field): JsonObject {
  const result: Record<string, unknown> = { ...typeDocument(field.type) };
  const value = defaultOf(field);
  if (value !== undefined) result["default"] = value;
  if (field.enum) {
    if (field.type.is === "list") result["items"] = { ...itemDocument(field.type.item), enum: field.enum };
    else result["enum"] = field.enum;
  }
  if (field.listType) result["x-kubernetes-list-type"] = field.listType;
  if (field.listKeys.length > 0) result["x-kubernetes-list-map-keys"] = field.listKeys;
  if (field.atomicMap) result["x-kubernetes-map-type"] = "atomic";
  if (field.patchMergeKey !== undefined) result["x-kubernetes-patch-merge-key"] = field.patchMergeKey;
  if (field.patchStrategies.length > 0)
    result["x-kubernetes-patch-strategy"] = field.patchStrategies.join(",");
  return result;
}

/** The document of one type, with the kinds that it stands for. */
export function schemaDocument(schema: TypeSchema, kinds: readonly JsonObject[] = []): JsonObject {
  const fields = [...schema.fields.values()];
  const required = fields.filter((field) => field.required).map((field) => field.name);
  return {
    type: "object",
    ...(required.length > 0 ? { required } : {}),
    properties: Object.fromEntries(fields.map((field) => [field.name, fieldDocument(field)])),
    ...(kinds.length > 0 ? { "x-kubernetes-group-version-kind": kinds } : {}),
    ...(schema.atomic ? { "x-kubernetes-map-type": "atomic" } : {}),
  };
}

/** The document of a list of a kind. */
export function listDocument(kind: KindInfo): JsonObject {
  return {
    type: "object",
    required: ["items"],
    properties: {
      apiVersion: { type: "string" },
      items: { type: "array", items: { allOf: [reference(publicName(kind.schema))], default: {} } },
      kind: { type: "string" },
      metadata: { allOf: [reference(publicName("meta.v1.ListMeta"))], default: {} },
    },
    "x-kubernetes-group-version-kind": [{ group: kind.group, version: kind.version, kind: kind.listKind }],
  };
}

/** Names of all types that a type refers to, itself included. */
export function reachableTypes(names: readonly string[]): Set<string> {
  const found = new Set<string>();
  const todo = [...names];
  for (let name = todo.pop(); name !== undefined; name = todo.pop()) {
    const schema = found.has(name) ? undefined : schemaOf(name);
    if (!schema) continue;
    found.add(name);
    for (const field of schema.fields.values()) {
      const inner = innerType(field.type);
      if (inner !== undefined) todo.push(inner);
    }
  }
  return found;
}

function innerType(type: FieldType): string | undefined {
  if (type.is === "type") return type.name;
  return type.is === "scalar" ? undefined : innerType(type.item);
}
