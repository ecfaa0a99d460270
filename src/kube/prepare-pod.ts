import { isJsonObject, listAt, objectAt, textAt, type JsonObject } from "./json.ts";
import { compareQuantities } from "./quantity.ts";

/** Priority classes that exist in every cluster. */
const priorities: Readonly<Record<string, number>> = {
  "system-cluster-critical": 2_000_000_000,
  "system-node-critical": 2_000_001_000,
};

const tokenPath = "/var/run/secrets/kubernetes.io/serviceaccount";

/**
 * The defaults of the admission plugins that every cluster runs: service account and its token volume, priority,
 * tolerations of nodes that are not ready or unreachable for five minutes.
 */
export function admitPod(pod: JsonObject, random: () => string): JsonObject {
  const spec = objectAt(pod, "spec");
  const account = textAt(spec, "serviceAccountName") || "default";
  return {
    ...pod,
    spec: {
      ...(spec["automountServiceAccountToken"] === false ? spec : withTokenVolume(spec, random)),
      serviceAccountName: account,
      serviceAccount: account,
      priority: spec["priority"] ?? priorities[textAt(spec, "priorityClassName")] ?? 0,
      preemptionPolicy: spec["preemptionPolicy"] ?? "PreemptLowerPriority",
      tolerations: withDefaultTolerations(listAt(spec, "tolerations")),
    },
  };
}

function withTokenVolume(spec: JsonObject, random: () => string): JsonObject {
  const name = `kube-api-access-${random()}`;
  let used = false;
  const mounted = (container: unknown): unknown => {
    if (!isJsonObject(container)) return container;
    const mounts = listAt(container, "volumeMounts");
    if (mounts.some((mount) => textAt(mount, "mountPath") === tokenPath)) return container;
    used = true;
    return { ...container, volumeMounts: [...mounts, { name, readOnly: true, mountPath: tokenPath }] };
  };
  const result = {
    ...spec,
    initContainers: listAt(spec, "initContainers").map(mounted),
    containers: listAt(spec, "containers").map(mounted),
  };
  return used ? { ...result, volumes: [...listAt(spec, "volumes"), tokenVolume(name)] } : spec;
}

function tokenVolume(name: string): JsonObject {
  const fieldRef = { apiVersion: "v1", fieldPath: "metadata.namespace" };
  const sources = [
    { serviceAccountToken: { expirationSeconds: 3607, path: "token" } },
    { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
    { downwardAPI: { items: [{ path: "namespace", fieldRef }] } },
  ];
  return { name, projected: { sources, defaultMode: 0o644 } };
}

function withDefaultTolerations(given: readonly unknown[]): readonly unknown[] {
  const missing = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"].filter(
    (key) => !given.some((toleration) => tolerates(toleration, key)),
  );
  return [
    ...given,
    ...missing.map((key) => ({ key, operator: "Exists", effect: "NoExecute", tolerationSeconds: 300 })),
  ];
}

/** Whether a toleration already covers NoExecute taints of this key. */
function tolerates(toleration: unknown, key: string): boolean {
  const effect = textAt(toleration, "effect");
  const tolerated = textAt(toleration, "key");
  return (tolerated === key || tolerated === "") && (effect === "NoExecute" || effect === "");
}

const isPositive = (quantity: string): boolean => compareQuantities(quantity, "0") > 0;

/** Quality of service of a pod by its cpu and memory requests and limits: Guaranteed, Burstable or BestEffort. */
export function qosClass(pod: JsonObject): string {
  const containers = [...listAt(pod, "spec", "containers"), ...listAt(pod, "spec", "initContainers")];
  let any = false;
  let guaranteed = true;
  for (const container of containers) {
    for (const resource of ["cpu", "memory"]) {
      const request = textAt(container, "resources", "requests", resource);
      const limit = textAt(container, "resources", "limits", resource);
      any ||= isPositive(request) || isPositive(limit);
      guaranteed &&= isPositive(limit) && (request === "" || compareQuantities(request, limit) === 0);
    }
  }
  return !any ? "BestEffort" : guaranteed ? "Guaranteed" : "Burstable";
}
