import type { ApiResponse } from "#client";
import { prune, typeError, unknownFields } from "#kube/server";
import type { KubeObject } from "#kube";
import { decodeObject } from "./body.ts";
import type { Context, Request } from "./context.ts";
import { create, update } from "./lifecycle.ts";
import { parseWriteOptions } from "./options.ts";
import type { WriteOptions } from "./options.ts";
import { checkPatchType, patchObject } from "./patch.ts";
import { find, respond, viewOf } from "./read.ts";
import type { Target } from "./route.ts";
import { ApiFault, badRequest } from "./status.ts";
import { storageOf } from "./storage.ts";
import { warningHeaders } from "./warnings.ts";

/** Kinds that a PUT may create (`AllowCreateOnUpdate` of their registries). */
const CREATED_BY_PUT = new Set(["services", "endpoints", "events", "leases"]);

export async function handleCreate(context: Context, request: Request, target: Target): Promise<ApiResponse> {
  const options = parseWriteOptions("Create", request.query);
  const view = viewOf(context, request, target.kind, false);
  const { object, warnings } = await decode(request, target, options);
  const created = guarded(warnings, () => create(context, target, object, options.dryRun, warnings));
  return respond(view, 201, created, warningHeaders(warnings));
}

export async function handleUpdate(context: Context, request: Request, target: Target): Promise<ApiResponse> {
  const options = parseWriteOptions("Update", request.query);
  const view = viewOf(context, request, target.kind, false);
  const { object, warnings } = await decode(request, target, options);
  return guarded(warnings, () => {
    checkNameOnUrl(object, target);
    const storage = storageOf(target.kind);
    const exists =
      context.store.get(storage.resource, target.namespace ?? "", target.name ?? "") !== undefined;
    if (!exists && target.subresource === undefined && CREATED_BY_PUT.has(target.kind.plural)) {
      const created = create(context, target, object, options.dryRun, warnings);
      return respond(view, 201, created, warningHeaders(warnings));
    }
    const updated = update(context, target, object, find(context, target), options.dryRun, warnings);
    return respond(view, 200, updated, warningHeaders(warnings));
  });
}

export function handlePatch(context: Context, request: Request, target: Target): ApiResponse {
  checkPatchType(request.headers["content-type"]);
  const options = parseWriteOptions("Patch", request.query);
  const view = viewOf(context, request, target.kind, false);
  const warnings: string[] = [];
  return guarded(warnings, () => {
    const old = find(context, target);
    const patched = patchObject(target.kind, old, request, options, warnings);
    const updated = update(context, target, patched, old, options.dryRun, warnings);
    return respond(view, 200, updated, warningHeaders(warnings));
  });
}

/** Runs `act`; a failure takes the warnings so far with it. */
function guarded<T>(warnings: readonly string[], act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof ApiFault) error.warnings = warnings;
    throw error;
  }
}

async function decode(
  request: Request,
  target: Target,
  options: WriteOptions,
): Promise<{ object: KubeObject; warnings: string[] }> {
  const { kind } = target;
  const decoded = await decodeObject(request.body, request.headers["content-type"], kind);
  const problems = [...decoded.duplicates, ...unknownFields(kind, decoded.object)];
  const cannot = (why: string): ApiFault =>
    badRequest(`${kind.kind} in version "${kind.version}" cannot be handled as a ${kind.kind}: ${why}`);
  const wrong = typeError(kind, decoded.object);
  if (wrong !== undefined) throw cannot(wrong);
  if (options.fieldValidation === "Strict" && problems.length > 0) {
    throw cannot(`strict decoding error: ${problems.join(", ")}`);
  }
  return {
    object: prune(kind, decoded.object),
    warnings: options.fieldValidation === "Warn" ? problems : [],
  };
}

function checkNameOnUrl(object: KubeObject, target: Target): void {
  const name = object.metadata?.name ?? "";
  if (name === "") {
    throw badRequest(
      `the name of the object (${target.name} based on URL) was undeterminable: name must be provided`,
    );
  }
  if (name !== target.name) {
    throw badRequest(`the name of the object (${name}) does not match the name on the URL (${target.name})`);
  }
}
