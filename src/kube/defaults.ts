import { constantDefaults } from "./default-values.ts";
import { at, isJsonObject, listAt, objectAt, textAt, textOf, type JsonObject } from "./json.ts";
import type { KindInfo } from "./kinds.ts";
import { normalize } from "./normal.ts";
import { schemaOf } from "./schema/index.ts";
import type { FieldType } from "./schema/types.ts";

/** Defaults of one type that depend on its other fields. Runs last, when what is inside has its defaults; returns the fields to set. */
type Rule = (value: JsonObject) => JsonObject;

const volumeFields = (value: JsonObject): string[] => Object.keys(value).filter((name) => name !== "name");

const rules: Readonly<Record<string, Rule>> = {
  "core.v1.Service": ({ spec, status }) => ({ spec: serviceSpec(spec), status: serviceStatus(spec, status) }),
  "core.v1.ServicePort": ({ port, targetPort }) =>
    targetPort === 0 || targetPort === "" ? { targetPort: port } : {},
  "core.v1.Container": imagePullPolicy,
  "core.v1.EphemeralContainer": imagePullPolicy,
  "core.v1.Volume": (volume) => (volumeFields(volume).length === 0 ? { emptyDir: {} } : {}),
  "core.v1.PodSpec": anyPodSpec,
  "core.v1.Pod": ({ spec }) => ({ spec: podSpec(spec) }),
  "core.v1.Secret": ({ data, stringData }) => (isJsonObject(stringData) ? secretData(data, stringData) : {}),
  "core.v1.Namespace": namespaceLabel,
  "core.v1.NodeSpec": ({ podCIDR, podCIDRs }) => {
    const [first, all] = primaryAndAll(podCIDR, podCIDRs);
    return first === undefined ? {} : { podCIDR: first, podCIDRs: all };
  },
  "core.v1.PodStatus": ({ podIP, podIPs }) => {
    const [first, all] = primaryAndAll(
      podIP,
      listAt({ podIPs }, "podIPs").map((item) => textAt(item, "ip")),
    );
    return first === undefined ? {} : { podIP: first, podIPs: all.map((ip) => ({ ip })) };
  },
  "core.v1.NodeStatus": ({ allocatable, capacity }) =>
    allocatable === undefined && capacity !== undefined ? { allocatable: capacity } : {},
  "apps.v1.DeploymentStrategy": rollingUpdate("apps.v1.RollingUpdateDeployment"),
  "apps.v1.StatefulSetUpdateStrategy": rollingUpdate("apps.v1.RollingUpdateStatefulSetStrategy"),
  "apps.v1.DaemonSetUpdateStrategy": rollingUpdate("apps.v1.RollingUpdateDaemonSet"),
  "apps.v1.StatefulSetSpec": ({ volumeClaimTemplates }) =>
    Array.isArray(volumeClaimTemplates)
      ? { volumeClaimTemplates: volumeClaimTemplates.map((claim: unknown) => typedClaim(claim)) }
      : {},
  "apps.v1.DaemonSet": templateGeneration,
  "networking.v1.NetworkPolicySpec": ({ policyTypes, egress }) =>
    policyTypes === undefined
      ? { policyTypes: egress === undefined ? ["Ingress"] : ["Ingress", "Egress"] }
      : {},
};

/** A field of one family and its successor for both: the older one wins where they differ, and each follows from the other. */
function primaryAndAll(one: unknown, many: unknown): [string | undefined, readonly unknown[]] {
  const all = Array.isArray(many) ? many : [];
  const first = textOf(one) || textOf(all[0]);
  if (first === "") return [undefined, []];
  return [first, all[0] === first ? all : [first]];
}

/** Strategy RollingUpdate without parameters gets the default ones. */
function rollingUpdate(parameters: string): Rule {
  return ({ type, rollingUpdate: given }) =>
    type === "RollingUpdate" && given === undefined ? { rollingUpdate: constantDefaults[parameters] } : {};
}

/** Claims inside a StatefulSet carry their own kind. */
function typedClaim(claim: unknown): unknown {
  return isJsonObject(claim) ? { kind: "PersistentVolumeClaim", apiVersion: "v1", ...claim } : claim;
}

/** `stringData` is a write-only convenience: it overrides `data`. */
function secretData(data: unknown, stringData: JsonObject): JsonObject {
  const encoded = Object.entries(stringData).map(([key, text]) => [
    key,
    Buffer.from(textOf(text)).toString("base64"),
  ]);
  return { data: { ...objectAt({ data }, "data"), ...Object.fromEntries(encoded) }, stringData: undefined };
}

function serviceSpec(value: unknown): unknown {
  if (!isJsonObject(value)) return value;
  const spec: Record<string, unknown> = { ...value };
  if (spec["sessionAffinity"] === "None") delete spec["sessionAffinityConfig"];
  if (
    spec["sessionAffinity"] === "ClientIP" &&
    at(spec, "sessionAffinityConfig", "clientIP", "timeoutSeconds") === undefined
  ) {
    spec["sessionAffinityConfig"] = { clientIP: { timeoutSeconds: 10800 } };
  }
  const { type } = spec;
  const external =
    type === "NodePort" ||
    type === "LoadBalancer" ||
    (type === "ClusterIP" && listAt(spec, "externalIPs").length > 0);
  if (external) spec["externalTrafficPolicy"] ??= "Cluster";
  if (type !== "ExternalName" && ["ClusterIP", "NodePort", "LoadBalancer"].includes(textOf(type))) {
    spec["internalTrafficPolicy"] ??= "Cluster";
  }
  if (type === "LoadBalancer") spec["allocateLoadBalancerNodePorts"] ??= true;
  return spec;
}

const addressed = (item: unknown): unknown =>
  isJsonObject(item) && textAt(item, "ip") !== "" ? { ...item, ipMode: item["ipMode"] ?? "VIP" } : item;

/** Traffic to an address of a load balancer arrives with that address as destination unless its status says otherwise. */
function serviceStatus(spec: unknown, status: unknown): unknown {
  const ingress = listAt(status, "loadBalancer", "ingress");
  if (at(spec, "type") !== "LoadBalancer" || !isJsonObject(status) || ingress.length === 0) return status;
  return {
    ...status,
    loadBalancer: { ...objectAt(status, "loadBalancer"), ingress: ingress.map(addressed) },
  };
}

/** `latest`, written or implied, is pulled always; any other tag or a digest only when it is not there yet. */
function imagePullPolicy({ image, imagePullPolicy: policy }: JsonObject): JsonObject {
  if (policy !== undefined) return {};
  const reference = textOf(image);
  const name = reference.slice(reference.lastIndexOf("/") + 1);
  const latest = !reference.includes("@") && (!name.includes(":") || name.endsWith(":latest"));
  return { imagePullPolicy: latest && reference !== "" ? "Always" : "IfNotPresent" };
}

/** Pods and templates of pods. The account has two names; the older one is an alias. */
function anyPodSpec({
  serviceAccountName,
  serviceAccount,
  terminationGracePeriodSeconds: grace,
}: JsonObject): JsonObject {
  const account = serviceAccountName ?? serviceAccount;
  return {
    ...(account === undefined ? {} : { serviceAccountName: account, serviceAccount: account }),
    ...(typeof grace === "number" && grace < 0 ? { terminationGracePeriodSeconds: 1 } : {}),
  };
}

/** Only pods, not the templates of workloads, get these. */
function podSpec(value: unknown): unknown {
  if (!isJsonObject(value)) return value;
  const hostNetwork = value["hostNetwork"] === true;
  const container = (item: unknown): unknown => (isJsonObject(item) ? podContainer(item, hostNetwork) : item);
  const spec: Record<string, unknown> = { ...value, enableServiceLinks: value["enableServiceLinks"] ?? true };
  for (const list of ["containers", "initContainers"]) {
    if (Array.isArray(spec[list])) spec[list] = listAt(spec, list).map(container);
  }
  return spec;
}

function podContainer(container: JsonObject, hostNetwork: boolean): JsonObject {
  const limits = objectAt(container, "resources", "limits");
  const resources = objectAt(container, "resources");
  const requests = { ...limits, ...objectAt(container, "resources", "requests") };
  const ports = listAt(container, "ports").map((port) =>
    isJsonObject(port) && hostNetwork
      ? { ...port, hostPort: port["hostPort"] ?? port["containerPort"] }
      : port,
  );
  return { ...container, ports, resources: { ...resources, requests } };
}

function namespaceLabel({ metadata }: JsonObject): JsonObject {
  const name = textAt(metadata, "name");
  if (name === "") return {};
  const labels = { ...objectAt(metadata, "labels"), "kubernetes.io/metadata.name": name };
  return { metadata: { ...objectAt({ metadata }, "metadata"), labels } };
}

const generationAnnotation = "deprecated.daemonset.template.generation";

function templateGeneration({ metadata }: JsonObject): JsonObject {
  const annotations = objectAt(metadata, "annotations");
  const generation = annotations[generationAnnotation] ?? "0";
  return {
    metadata: {
      ...objectAt({ metadata }, "metadata"),
      annotations: { ...annotations, [generationAnnotation]: generation },
    },
  };
}

function withDefaults(type: FieldType, value: unknown): unknown {
  if (type.is === "list")
    return Array.isArray(value) ? value.map((item) => withDefaults(type.item, item)) : value;
  if (type.is === "map") {
    if (!isJsonObject(value)) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, withDefaults(type.item, item)]),
    );
  }
  return type.is === "type" && isJsonObject(value) ? defaulted(type.name, value) : value;
}

function defaulted(typeName: string, value: JsonObject): JsonObject {
  const schema = schemaOf(typeName);
  if (!schema) return value;
  const result: Record<string, unknown> = { ...value };
  for (const field of schema.fields.values()) {
    if (result[field.name] === undefined && field.default !== undefined) result[field.name] = field.default;
  }
  for (const [name, constant] of Object.entries(constantDefaults[typeName] ?? {})) {
    if (result[name] === undefined || result[name] === null) result[name] = constant;
  }
  for (const field of schema.fields.values()) {
    if (result[field.name] !== undefined) result[field.name] = withDefaults(field.type, result[field.name]);
  }
  return Object.assign(result, rules[typeName]?.(result));
}

/**
 * The object as a 1.34 server stores it after decoding and defaulting: see `normalize`; then every default that does not
 * need an allocator, another object or the cluster's configuration.
 */
export function applyDefaults<T extends JsonObject>(kind: KindInfo, object: T): T {
  return normalize(kind.schema, defaulted(kind.schema, normalize(kind.schema, object))) as T;
}
