import type { ApiResponse } from "#client";
import type { KindInfo, KubeObject } from "#kube";
import { isRecord, mediaType, parseJson } from "./body.ts";
import type { Context, Request } from "./context.ts";
import { numberAt, recordAt, textAt } from "./fields.ts";
import { parseWriteOptions } from "./options.ts";
import { checkPatchType, patchObject } from "./patch.ts";
import { find, respond, viewOf } from "./read.ts";
import type { Target } from "./route.ts";
import { badRequest, invalid, methodNotAllowed } from "./status.ts";
import { update } from "./lifecycle.ts";

/** autoscaling/v1 Scale: the number of replicas of a workload as an object of its own. */
const SCALE: KindInfo = {
  group: "autoscaling",
  version: "v1",
  kind: "Scale",
  plural: "scales",
  namespaced: true,
  singular: "scale",
  listKind: "ScaleList",
  shortNames: [],
  categories: [],
  subresources: [],
  schema: "autoscaling.v1.Scale",
};

function scaleOf(workload: KubeObject): KubeObject {
  const {
    name = "",
    namespace = "",
    uid = "",
    resourceVersion = "",
    creationTimestamp = "",
  } = workload.metadata ?? {};
  const selector = selectorText(recordAt(workload, "spec", "selector"));
  return {
    kind: "Scale",
    apiVersion: "autoscaling/v1",
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: { replicas: numberAt(workload, "spec", "replicas") },
    status: {
      replicas: numberAt(workload, "status", "replicas"),
      ...(selector === "" ? {} : { selector }),
    },
  };
}

/** A label selector in the form of a query parameter. */
function selectorText(selector: Record<string, unknown>): string {
  const labels = Object.entries(recordAt(selector, "matchLabels")).map(
    ([key, value]) => `${key}=${String(value)}`,
  );
  const expressions = Array.isArray(selector["matchExpressions"]) ? selector["matchExpressions"] : [];
  const texts = expressions.map((item: unknown) => {
    const key = textAt(item, "key");
    const values = `(${(isRecord(item) && Array.isArray(item["values"]) ? item["values"] : []).join(",")})`;
    const forms: Record<string, string> = {
      In: `${key} in ${values}`,
      NotIn: `${key} notin ${values}`,
      Exists: key,
      DoesNotExist: `!${key}`,
    };
    return forms[textAt(item, "operator")] ?? "";
  });
  return [...labels.sort(), ...texts].filter((text) => text !== "").join(",");
}

/** GET, PUT and PATCH of `.../scale`. */
export function handleScale(context: Context, request: Request, target: Target): ApiResponse {
  const view = viewOf(context, request, SCALE, false);
  const workload = find(context, target);
  if (request.method === "GET") return respond(view, 200, scaleOf(workload));
  if (request.method !== "PUT" && request.method !== "PATCH") throw methodNotAllowed();
  if (request.method === "PATCH") checkPatchType(request.headers["content-type"]);
  const options = parseWriteOptions(request.method === "PUT" ? "Update" : "Patch", request.query);
  const wanted =
    request.method === "PUT"
      ? scaleBody(request)
      : patchObject(SCALE, scaleOf(workload), request, options, []);
  const replicas = recordAt(wanted, "spec")["replicas"] ?? 0;
  if (typeof replicas !== "number" || !Number.isInteger(replicas) || replicas < 0) {
    throw invalid({ group: "autoscaling", kind: "Scale" }, target.name ?? "", [
      {
        reason: "FieldValueInvalid",
        field: "spec.replicas",
        message: `Invalid value: ${JSON.stringify(replicas)}: must be greater than or equal to 0`,
      },
    ]);
  }
  const changed = {
    ...workload,
    metadata: { ...workload.metadata, resourceVersion: wanted.metadata?.resourceVersion ?? "" },
    spec: { ...recordAt(workload, "spec"), replicas },
  };
  const main = { ...target, subresource: undefined };
  return respond(view, 200, scaleOf(update(context, main, changed, workload, options.dryRun)));
}

function scaleBody(request: Request): KubeObject {
  if (mediaType(request.headers["content-type"]) === "application/vnd.kubernetes.protobuf") {
    throw badRequest("this server reads Scale as application/json; use kubectl scale, which sends a patch");
  }
  const body = parseJson(request.body, (why) => badRequest(`json parse error: ${why}`));
  if (!isRecord(body)) throw badRequest("the body is not an object of kind Scale");
  return body;
}
