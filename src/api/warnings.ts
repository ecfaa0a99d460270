import type { KindInfo, KubeObject } from "#kube";
import { listAt, numberAt, recordAt, textAt } from "./fields.ts";

/** Warnings about what is accepted all the same; the wording is that of Kubernetes, where Kubernetes would warn. */

type Check = (object: KubeObject, old: KubeObject | undefined) => readonly string[];

const CHECKS: Readonly<Record<string, Check>> = {
  "core.v1.Service": (service) => {
    const spec = recordAt(service, "spec");
    const named = spec["externalName"] !== undefined && spec["type"] !== "ExternalName";
    const ignored = named ? ['spec.externalName is ignored when spec.type is not "ExternalName"'] : [];
    return spec["clusterIP"] === "None" ? [...ignored, ...ignoredWhenHeadless(spec)] : ignored;
  },
  "core.v1.Secret": (secret) => {
    if (secret["type"] !== "kubernetes.io/tls") return [];
    const certificate = Buffer.from(textAt(secret, "data", "tls.crt"), "base64").toString("latin1");
    const found = certificate.includes("-----BEGIN ");
    return found ? [] : ["tls: failed to find any PEM data in certificate input"];
  },
  "core.v1.Pod": (pod, old) => (old === undefined ? repeatedPorts(pod) : []),
  "core.v1.PersistentVolumeClaim": (_claim, old) =>
    old === undefined ? ["PersistentVolumeClaim is accepted, not simulated: nothing is bound to it"] : [],
  "discovery.v1.EndpointSlice": (slice) =>
    slice["addressType"] === "FQDN" ? ["spec.addressType: FQDN endpoints are deprecated"] : [],
  "networking.v1.Ingress": (ingress, old) => {
    const named = textAt(ingress, "metadata", "annotations", "kubernetes.io/ingress.class") !== "";
    return named && old === undefined
      ? [
          "annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead",
        ]
      : [];
  },
};

function ignoredWhenHeadless(spec: Record<string, unknown>): string[] {
  const because = 'is ignored when `clusterIP` is "None"';
  return [
    ...(textAt(spec, "loadBalancerIP") === "" ? [] : [`spec.loadBalancerIP ${because}`]),
    ...(listAt(spec, "externalIPs").length === 0 ? [] : [`spec.externalIPs ${because}`]),
    ...(spec["sessionAffinity"] === "ClientIP"
      ? ["spec.SessionAffinity is ignored for headless services"]
      : []),
  ];
}

function repeatedPorts(pod: KubeObject): string[] {
  const seen = new Map<string, string>();
  return listAt(pod, "spec", "containers").flatMap((container, at) =>
    listAt(container, "ports").flatMap((port, index) => {
      const path = `spec.containers[${at}].ports[${index}]`;
      const key = `${textAt(port, "protocol")} ${numberAt(port, "containerPort")} ${textAt(port, "hostIP")}`;
      const first = seen.get(key);
      if (first === undefined) seen.set(key, path);
      return first === undefined ? [] : [`${path}: duplicate port definition with ${first}`];
    }),
  );
}

/** Warnings about one object that is being written. */
export function objectWarnings(kind: KindInfo, object: KubeObject, old?: KubeObject): readonly string[] {
  return CHECKS[kind.schema]?.(object, old) ?? [];
}

/** Warnings that every request for a kind gets. */
export function kindWarnings(kind: KindInfo): readonly string[] {
  if (kind.schema !== "core.v1.Endpoints") return [];
  return ["v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"];
}

/** The `Warning` header of an answer (RFC 7234 section 5.5, code 299); several warnings share one line. */
export function warningHeaders(warnings: readonly string[]): Readonly<Record<string, string>> {
  if (warnings.length === 0) return {};
  const lines = [...new Set(warnings)].map(
    (text) => `299 - ${JSON.stringify(text.replaceAll(/\p{Cc}/gu, " "))}`,
  );
  return { warning: lines.join(", ") };
}
