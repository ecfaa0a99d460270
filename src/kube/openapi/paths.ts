import type { JsonObject } from "../json.ts";
import type { KindInfo } from "../kinds.ts";
import { publicName, reference } from "./schemas.ts";

interface Gvk {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

const query = (name: string, type: string): JsonObject => ({
  name,
  in: "query",
  schema: { type, uniqueItems: true },
});
const inPath = (name: string): JsonObject => ({
  name,
  in: "path",
  required: true,
  schema: { type: "string", uniqueItems: true },
});

const pretty = query("pretty", "string");
const writeParameters = [
  query("dryRun", "string"),
  query("fieldManager", "string"),
  query("fieldValidation", "string"),
];
const listParameters = [
  query("allowWatchBookmarks", "boolean"),
  query("continue", "string"),
  query("fieldSelector", "string"),
  query("labelSelector", "string"),
  query("limit", "integer"),
  query("resourceVersion", "string"),
  query("resourceVersionMatch", "string"),
  query("sendInitialEvents", "boolean"),
  query("timeoutSeconds", "integer"),
  query("watch", "boolean"),
];
const deleteParameters = [
  query("dryRun", "string"),
  query("gracePeriodSeconds", "integer"),
  query("orphanDependents", "boolean"),
  query("propagationPolicy", "string"),
];
const patchTypes = [
  "application/apply-patch+yaml",
  "application/json-patch+json",
  "application/merge-patch+json",
  "application/strategic-merge-patch+json",
];
const responseTypes = ["application/json", "application/yaml"];

const contentOf = (types: readonly string[], name: string): JsonObject =>
  Object.fromEntries(types.map((type) => [type, { schema: reference(name) }]));

const bodyOf = (name: string, types: readonly string[] = ["*/*"]): JsonObject => ({
  content: contentOf(types, name),
  required: true,
});

/** One operation; `codes` are the answers that carry the object. */
function operation(
  action: string,
  gvk: Gvk,
  answer: string,
  details: { parameters?: readonly JsonObject[]; body?: JsonObject; codes?: readonly string[] } = {},
): JsonObject {
  const answers = (details.codes ?? ["200"]).map((code) => [
    code,
    { description: "OK", content: contentOf(responseTypes, answer) },
  ]);
  return {
    ...(details.parameters ? { parameters: details.parameters } : {}),
    ...(details.body ? { requestBody: details.body } : {}),
    responses: { ...Object.fromEntries(answers), "401": { description: "Unauthorized" } },
    "x-kubernetes-action": action,
    "x-kubernetes-group-version-kind": gvk,
  };
}

const patch = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";
const status = publicName("meta.v1.Status");
const deleteOptions = publicName("meta.v1.DeleteOptions");

/** get, put and patch of an object or of a part of it. */
function objectOperations(gvk: Gvk, name: string): JsonObject {
  const codes = ["200", "201"];
  const patchParameters = [...writeParameters, query("force", "boolean")];
  return {
    get: operation("get", gvk, name),
    put: operation("put", gvk, name, { parameters: writeParameters, body: bodyOf(name), codes }),
    patch: operation("patch", gvk, name, {
      parameters: patchParameters,
      body: bodyOf(patch, patchTypes),
      codes,
    }),
  };
}

function collectionOperations(kind: KindInfo, gvk: Gvk, name: string): JsonObject {
  return {
    get: operation("list", gvk, publicListName(kind), { parameters: listParameters }),
    post: operation("post", gvk, name, {
      parameters: writeParameters,
      body: bodyOf(name),
      codes: ["200", "201", "202"],
    }),
    // Namespaces are deleted one by one.
    ...(kind.schema === "core.v1.Namespace"
      ? {}
      : {
          delete: operation("deletecollection", gvk, status, {
            parameters: [...listParameters, ...deleteParameters],
            body: bodyOf(deleteOptions),
          }),
        }),
  };
}

/** `io.k8s.api.core.v1.PodList` */
export const publicListName = (kind: KindInfo): string => `${publicName(kind.schema)}List`;

/** All paths of a kind under `/api/v1` or `/apis/GROUP/VERSION`. */
export function pathsOf(kind: KindInfo, root: string): JsonObject {
  const gvk = { group: kind.group, version: kind.version, kind: kind.kind };
  const name = publicName(kind.schema);
  const scope = kind.namespaced ? [inPath("namespace")] : [];
  const base = kind.namespaced ? `${root}/namespaces/{namespace}/${kind.plural}` : `${root}/${kind.plural}`;
  const object = `${base}/{name}`;
  const parameters = [inPath("name"), ...scope, pretty];
  const deletion = operation("delete", gvk, status, {
    parameters: deleteParameters,
    body: bodyOf(deleteOptions),
    codes: ["200", "202"],
  });
  const paths: Record<string, JsonObject> = {
    [base]: { ...collectionOperations(kind, gvk, name), parameters: [...scope, pretty] },
    [object]: { ...objectOperations(gvk, name), delete: deletion, parameters },
  };
  if (kind.namespaced) {
    const list = operation("list", gvk, publicListName(kind));
    paths[`${root}/${kind.plural}`] = { get: list, parameters: [...listParameters, pretty] };
  }
  for (const part of kind.subresources) {
    const scale = { group: "autoscaling", version: "v1", kind: "Scale" };
    const operations =
      part === "scale"
        ? objectOperations(scale, publicName("autoscaling.v1.Scale"))
        : objectOperations(gvk, name);
    paths[`${object}/${part}`] = { ...operations, parameters };
  }
  return paths;
}
