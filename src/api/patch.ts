import { applyPatch } from "rfc6902";
import { goText, mergePatch, prune, strategicMergePatch, typeError, unknownFields } from "#kube/server";
import type { FieldError, KindInfo, KubeObject } from "#kube";
import { messageOf } from "#lib/errors";
import { isRecord, mediaType, parseJson, typeName } from "./body.ts";
import type { Request } from "./context.ts";
import type { WriteOptions } from "./options.ts";
import { ApiFault, badRequest, invalid, unsupportedMediaType } from "./status.ts";
import { duplicateFields } from "./strict-json.ts";

interface Patched {
  readonly object: unknown;
  /** What messages show of the request: the result, or the patch for strategic merges. */
  readonly shown: string;
  readonly problems: readonly string[];
}

const undecodable = (why: string): ApiFault => badRequest(`error decoding patch: ${why}`);
/** What clients get for patches whose failure the server does not explain. */
const rejected = (): ApiFault =>
  new ApiFault(422, "Invalid", "the server rejected our request due to an error in our request", {});

/**
 * The object after a JSON patch (RFC 6902), merge patch (RFC 7396) or strategic merge patch; the type has
 * been checked. Throws 422 when the result is no object of the kind.
 */
export function patchObject(
  kind: KindInfo,
  old: KubeObject,
  request: Request,
  options: WriteOptions,
  warnings: string[],
): KubeObject {
  const { object, shown, problems } = applyTo(kind, old, request);
  const unfit = (message: string): ApiFault => {
    const error: FieldError = {
      reason: "FieldValueInvalid",
      field: "patch",
      message: `Invalid value: ${JSON.stringify(shown)}: ${message}`,
    };
    return invalid({ group: "", kind: "" }, "", [error]);
  };
  if (!isRecord(object)) throw unfit("the result is not an object");
  const wrong = typeError(kind, object);
  if (wrong !== undefined) throw unfit(wrong);
  if (object["kind"] !== old.kind || object["apiVersion"] !== old.apiVersion) {
    throw unfit("apiVersion and kind may not be changed");
  }
  const found = [...problems, ...unknownFields(kind, object)];
  if (options.fieldValidation === "Strict" && found.length > 0) {
    throw unfit(`strict decoding error: ${found.join(", ")}`);
  }
  if (options.fieldValidation === "Warn") warnings.push(...found);
  const result = prune(kind, object);
  const name = isRecord(result["metadata"]) ? result["metadata"]["name"] : undefined;
  if (name !== old.metadata?.name) {
    throw badRequest(
      `the name of the object (${String(name)}) does not match the name on the URL (${old.metadata?.name ?? ""})`,
    );
  }
  return result;
}

function applyTo(kind: KindInfo, old: KubeObject, request: Request): Patched {
  switch (mediaType(request.headers["content-type"])) {
    case "application/json-patch+json":
      return jsonPatch(old, request.body);
    case "application/merge-patch+json": {
      const { patch, problems } = patchDocument(request.body);
      const object = mergePatch(old, patch);
      return { object, shown: shownObject(object), problems };
    }
    default:
      return strategicOf(kind, old, request.body);
  }
}

function strategicOf(kind: KindInfo, old: KubeObject, body: string): Patched {
  const { patch, problems } = patchDocument(body);
  return { object: strategic(kind, old, patch), shown: goText(patch), problems };
}

/** An object as messages show it: its own fields in order of their names. */
function shownObject(object: unknown): string {
  if (!isRecord(object)) return JSON.stringify(object);
  return JSON.stringify(Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1))));
}

const PATCH_TYPES = new Set([
  "application/json-patch+json",
  "application/merge-patch+json",
  "application/strategic-merge-patch+json",
]);

/** Throws 415 for a type of patch that is not served. */
export function checkPatchType(contentType: string | undefined): void {
  const type = mediaType(contentType);
  if (type.startsWith("application/apply-patch+")) {
    throw unsupportedMediaType(
      "server-side apply is not supported yet: use client-side apply (kubectl apply without --server-side) or a merge patch",
    );
  }
  if (!PATCH_TYPES.has(type)) {
    throw new ApiFault(415, "UnsupportedMediaType", "415: Unsupported Media Type", {});
  }
}

function patchDocument(body: string): { patch: Record<string, unknown>; problems: string[] } {
  const patch = parseJson(body, undecodable);
  if (patch === null) throw badRequest("Invalid JSON Patch");
  if (!isRecord(patch)) {
    throw undecodable(
      `json: cannot unmarshal ${typeName(patch)} into Go value of type map[string]interface {}`,
    );
  }
  return { patch, problems: duplicateFields(body) };
}

function strategic(kind: KindInfo, old: KubeObject, patch: Record<string, unknown>): unknown {
  try {
    return strategicMergePatch(kind, old, patch);
  } catch (error) {
    throw new ApiFault(500, undefined, messageOf(error));
  }
}

const OPERATIONS = new Set(["add", "remove", "replace", "move", "copy", "test"]);

interface Operation {
  readonly op: "add" | "remove" | "replace" | "move" | "copy" | "test";
  readonly path: string;
  readonly from: string;
  readonly value: unknown;
}

/** How many operations one patch may have, as in the original. */
const MAX_OPERATIONS = 10_000;

function jsonPatch(old: KubeObject, body: string): Patched {
  const patch = parseJson(body, undecodable);
  if (!Array.isArray(patch)) {
    throw undecodable(
      `json: cannot unmarshal ${typeName(patch)} into Go value of type []handlers.jsonPatchOp`,
    );
  }
  if (patch.length > MAX_OPERATIONS) {
    throw new ApiFault(
      413,
      "RequestEntityTooLarge",
      `The allowed maximum operations in a JSON patch is ${MAX_OPERATIONS}, got ${patch.length}`,
    );
  }
  const operations = patch.map((item: unknown) => {
    if (!isOperation(item)) throw rejected();
    return item;
  });
  const object: unknown = structuredClone(old);
  if (applyPatch(object, operations).some((error) => error !== null)) throw rejected();
  return { object, shown: shownObject(object), problems: [] };
}

function isOperation(item: unknown): item is Operation {
  if (!isRecord(item) || typeof item["path"] !== "string" || !OPERATIONS.has(String(item["op"])))
    return false;
  if (item["op"] === "move" || item["op"] === "copy") return typeof item["from"] === "string";
  return item["op"] === "remove" || "value" in item;
}
