import type { ApiResponse } from "#client";
import { labelSelectorMatches } from "#kube";
import type { KindInfo, KubeObject } from "#kube";
import { isRecord, parseJson } from "./body.ts";
import type { Context, Request } from "./context.ts";
import { listAt, numberAt, recordAt, textAt, valueAt } from "./fields.ts";
import { store, timestamp } from "./lifecycle.ts";
import { parseDeleteOptions, parseWriteOptions } from "./options.ts";
import { find, once } from "./read.ts";
import { remove } from "./remove.ts";
import type { Target } from "./route.ts";
import { ApiFault, badRequest, forbidden, methodNotAllowed } from "./status.ts";

const BUDGETS = "poddisruptionbudgets.policy";
/** Evictions that the disruption controller has not seen the end of; more are refused, as in the original. */
const MOST_DISRUPTED = 2000;
const VIOLATION = "Cannot evict pod as it would violate the pod's disruption budget.";

/**
 * POST of `pods/NAME/eviction`: a deletion that a PodDisruptionBudget may forbid (429). `kubectl drain` empties nodes by it.
 * The rules are those of the API server's eviction subresource (policy/v1).
 */
export function handleEviction(context: Context, request: Request, target: Target): ApiResponse {
  if (request.method !== "POST") throw methodNotAllowed();
  const type = request.headers["content-type"];
  const { deleteOptions, name } = evictionOf(request.body);
  if (name !== target.name) throw badRequest("name in URL does not match name in Eviction object");
  const { dryRun } = parseWriteOptions("Create", request.query);
  const given = parseDeleteOptions(request.query, JSON.stringify(deleteOptions), type);
  const options = { ...given, dryRun: dryRun || given.dryRun };
  const pod = find(context, target);
  const budget = isProtected(pod) ? budgetOf(context, pod) : undefined;
  if (budget !== undefined && !mayGoUnhealthy(pod, budget)) spend(context, budget, name, options.dryRun);
  if (isProtected(pod)) announce(context, target.kind, pod, options.dryRun);
  remove(context, target.kind, find(context, target), options);
  const status = { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: 201 };
  return {
    status: 201,
    headers: { "content-type": "application/json" },
    body: once(Buffer.from(JSON.stringify(status))),
  };
}

function evictionOf(body: string): { name: string; deleteOptions: Record<string, unknown> } {
  const eviction = parseJson(body, badRequest);
  if (!isRecord(eviction)) throw badRequest("the body is not an object of kind Eviction");
  return { name: textAt(eviction, "metadata", "name"), deleteOptions: recordAt(eviction, "deleteOptions") };
}

/** Pods that have not begun to run, have ended or are on their way out serve nobody: no budget counts them. */
function isProtected(pod: KubeObject): boolean {
  const idle = ["Succeeded", "Failed", "Pending"].includes(textAt(pod, "status", "phase"));
  return !idle && pod.metadata?.deletionTimestamp === undefined;
}

function budgetOf(context: Context, pod: KubeObject): KubeObject | undefined {
  const { namespace = "", labels = {} } = pod.metadata ?? {};
  const [budget, ...others] = context.store
    .list(BUDGETS, namespace)
    .filter((one) => labelSelectorMatches(valueAt(one, "spec", "selector"), labels));
  if (others.length === 0) return budget;
  const why =
    "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
  throw new ApiFault(500, undefined, why);
}

/** A pod that is not ready may go where the budget says so, or where enough others are healthy. */
function mayGoUnhealthy(pod: KubeObject, budget: KubeObject): boolean {
  const ready = listAt(pod, "status", "conditions").some(
    (one) => textAt(one, "type") === "Ready" && textAt(one, "status") === "True",
  );
  if (ready) return false;
  if (textAt(budget, "spec", "unhealthyPodEvictionPolicy") === "AlwaysAllow") return true;
  const desired = numberAt(budget, "status", "desiredHealthy");
  return desired > 0 && numberAt(budget, "status", "currentHealthy") >= desired;
}

/** Takes one disruption from the budget, or refuses; the disruption controller counts anew when the pod has gone. */
function spend(context: Context, budget: KubeObject, pod: string, dryRun: boolean): void {
  const { name = "", generation = 0 } = budget.metadata ?? {};
  const status = recordAt(budget, "status");
  if (numberAt(status, "observedGeneration") < generation) {
    throw tooMany(`The disruption budget ${name} is still being processed by the server.`, 10);
  }
  const disrupted = recordAt(status, "disruptedPods");
  if (Object.keys(disrupted).length > MOST_DISRUPTED) {
    const why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller";
    throw forbidden(
      { group: "policy", kind: "PodDisruptionBudget", plural: "poddisruptionbudgets" },
      name,
      why,
    );
  }
  const allowed = numberAt(status, "disruptionsAllowed");
  if (allowed <= 0) {
    const [needs, has] = ["desiredHealthy", "currentHealthy"].map((field) => numberAt(status, field));
    throw tooMany(`The disruption budget ${name} needs ${needs} healthy pods and has ${has} currently`);
  }
  const kind = context.kinds.find((one) => one.schema === "policy.v1.PodDisruptionBudget");
  if (kind === undefined) return;
  const spent = {
    ...status,
    disruptionsAllowed: allowed - 1,
    disruptedPods: { ...disrupted, [pod]: timestamp(context.now()) },
  };
  store(context, kind, { ...budget, status: spent }, budget, dryRun);
}

function tooMany(cause: string, retryAfterSeconds?: number): ApiFault {
  return new ApiFault(429, "TooManyRequests", VIOLATION, {
    causes: [{ reason: "DisruptionBudget", message: cause }],
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  });
}

/** The condition DisruptionTarget tells the pod's controller why it went. */
function announce(context: Context, kind: KindInfo, pod: KubeObject, dryRun: boolean): void {
  const now = timestamp(context.now());
  const type = "DisruptionTarget";
  const others = listAt(pod, "status", "conditions").filter((one) => textAt(one, "type") !== type);
  const reason = { reason: "EvictionByEvictionAPI", message: "Eviction API: evicting" };
  const condition = { type, status: "True", ...reason, lastProbeTime: null, lastTransitionTime: now };
  const status = { ...recordAt(pod, "status"), conditions: [...others, condition] };
  store(context, kind, { ...pod, status }, pod, dryRun);
}
