import type { ApiResponse } from "#client";
import type { KubeObject } from "#kube";
import { parseJson } from "./body.ts";
import type { Context, Request } from "./context.ts";
import { listAt, recordAt, textAt } from "./fields.ts";
import { store, timestamp } from "./lifecycle.ts";
import { find, once } from "./read.ts";
import type { Target } from "./route.ts";
import { badRequest, conflict, methodNotAllowed } from "./status.ts";

/** POST of `pods/NAME/binding`: gives a pod its node, once. The only way in which `spec.nodeName` changes. */
export function handleBinding(context: Context, request: Request, target: Target): ApiResponse {
  if (request.method !== "POST") throw methodNotAllowed();
  const body = parseJson(request.body, badRequest);
  const node = textAt(body, "target", "name");
  if (node === "") throw badRequest("target.name: Required value");
  const pod = find(context, target);
  const { name = "", deletionTimestamp } = pod.metadata ?? {};
  const refuse = (why: string): Error => conflict({ ...target.kind, plural: "pods/binding" }, name, why);
  if (deletionTimestamp !== undefined)
    throw refuse(`pod ${name} is being deleted, cannot be assigned to a host`);
  const present = textAt(pod, "spec", "nodeName");
  if (present !== "") throw refuse(`pod ${name} is already assigned to node "${present}"`);
  store(context, target.kind, bound(pod, node, timestamp(context.now())), pod, request.query.has("dryRun"));
  const status = { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: 201 };
  return {
    status: 201,
    headers: { "content-type": "application/json" },
    body: once(Buffer.from(JSON.stringify(status))),
  };
}

function bound(pod: KubeObject, node: string, now: string): KubeObject {
  const others = listAt(pod, "status", "conditions").filter(
    (item) => textAt(item, "type") !== "PodScheduled",
  );
  const scheduled = { type: "PodScheduled", status: "True", lastProbeTime: null, lastTransitionTime: now };
  return {
    ...pod,
    spec: { ...recordAt(pod, "spec"), nodeName: node },
    status: { ...recordAt(pod, "status"), conditions: [...others, scheduled] },
  };
}
