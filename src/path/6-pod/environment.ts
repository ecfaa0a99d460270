/** Environment variables and arguments of a container, as a kubelet makes them. Pure. */
import type { KubeObject } from "#kube";
import type { Container, EnvVar, EnvVarSource } from "kubernetes-types/core/v1.js";
import { asPod } from "./pod-object.ts";

/** What variables may refer to. */
export interface EnvironmentSources {
  readonly pod: KubeObject;
  /** The primary one first. */
  readonly podIPs: readonly string[];
  readonly node: { readonly name: string; readonly address: string; readonly addresses: readonly string[] };
  /** Text values of a ConfigMap or Secret in the pod's namespace; undefined if there is none. */
  readonly lookup: (
    kind: "ConfigMap" | "Secret",
    name: string,
  ) => Readonly<Record<string, string>> | undefined;
  /** Service variables (KUBERNETES_SERVICE_HOST ...); the spec's own win over them. */
  readonly services: Readonly<Record<string, string>>;
  /** Capacity of the node, for limits that are not set: millicores and bytes. */
  readonly capacity: { readonly cpu: number; readonly memory: number };
}

export interface Environment {
  readonly variables: Readonly<Record<string, string>>;
  /** References that lead nowhere and are not optional: the container must not start (CreateContainerConfigError). */
  readonly problems: readonly string[];
}

/** envFrom first, then env in its order; `$(NAME)` in a value refers to what was set before. */
export function buildEnvironment(container: Container, sources: EnvironmentSources): Environment {
  const variables: Record<string, string> = { ...sources.services };
  const problems: string[] = [];
  for (const { prefix = "", configMapRef, secretRef } of container.envFrom ?? []) {
    const kind = configMapRef === undefined ? "Secret" : "ConfigMap";
    const ref = configMapRef ?? secretRef;
    if (ref?.name === undefined) continue;
    const values = sources.lookup(kind, ref.name);
    if (values === undefined && ref.optional !== true) problems.push(missing(kind, ref.name));
    for (const [key, value] of Object.entries(values ?? {})) variables[prefix + key] = value;
  }
  for (const entry of container.env ?? []) {
    const value = valueOf(entry, container, sources, variables);
    if (value === undefined) continue;
    if (typeof value === "string") variables[entry.name] = value;
    else problems.push(value.problem);
  }
  return { variables, problems };
}

type Value = string | { readonly problem: string } | undefined;

function valueOf(
  { value, valueFrom }: EnvVar,
  container: Container,
  sources: EnvironmentSources,
  known: Readonly<Record<string, string>>,
): Value {
  if (valueFrom === undefined) return expand(value ?? "", known);
  const { fieldRef, resourceFieldRef } = valueFrom;
  if (fieldRef !== undefined) return podField(fieldRef.fieldPath, sources);
  if (resourceFieldRef !== undefined) {
    return resourceField(container, resourceFieldRef.resource, resourceFieldRef.divisor ?? "1", sources);
  }
  return keyValue(valueFrom, sources);
}

function keyValue({ configMapKeyRef, secretKeyRef }: EnvVarSource, sources: EnvironmentSources): Value {
  const ref = configMapKeyRef ?? secretKeyRef;
  if (ref?.name === undefined) return undefined;
  const kind = configMapKeyRef === undefined ? "Secret" : "ConfigMap";
  const values = sources.lookup(kind, ref.name);
  const value = values?.[ref.key];
  if (value !== undefined || ref.optional === true) return value;
  return {
    problem:
      values === undefined ? missing(kind, ref.name) : `couldn't find key ${ref.key} in ${kind} ${ref.name}`,
  };
}

function missing(kind: string, name: string): string {
  return `${kind.toLowerCase()} "${name}" not found`;
}

const mapField = /^metadata\.(labels|annotations)\['([^']+)'\]$/;

/** The downward API's fields (https://kubernetes.io/docs/concepts/workloads/pods/downward-api/). */
function podField(path: string, { pod, podIPs, node }: EnvironmentSources): Value {
  const { metadata = {}, spec } = asPod(pod);
  const fields: Record<string, string> = {
    "metadata.name": metadata.name ?? "",
    "metadata.namespace": metadata.namespace ?? "",
    "metadata.uid": metadata.uid ?? "",
    "spec.nodeName": node.name,
    "spec.serviceAccountName": spec?.serviceAccountName ?? "default",
    "status.hostIP": node.address,
    "status.hostIPs": node.addresses.join(","),
    "status.podIP": podIPs[0] ?? "",
    "status.podIPs": podIPs.join(","),
  };
  const [, map, key] = mapField.exec(path) ?? [];
  if (key !== undefined) return (map === "labels" ? metadata.labels : metadata.annotations)?.[key] ?? "";
  return fields[path] ?? { problem: `unsupported fieldPath: ${path}` };
}

function resourceField(
  container: Container,
  resource: string,
  divisor: string,
  sources: EnvironmentSources,
): Value {
  const [group, name] = resource.split(".");
  if ((group !== "limits" && group !== "requests") || (name !== "cpu" && name !== "memory")) {
    return { problem: `unsupported container resource: ${resource}` };
  }
  const set = container.resources?.[group]?.[name];
  const fallback = name === "cpu" ? sources.capacity.cpu / 1000 : sources.capacity.memory;
  const amount = set === undefined ? (group === "limits" ? fallback : 0) : quantity(set);
  const by = divisor === "0" ? 1 : quantity(divisor);
  return String(Math.ceil(amount / by - 1e-9));
}

const suffixes: Readonly<Record<string, number>> = {
  "": 1,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

function quantity(text: string): number {
  const [, number = "0", suffix = ""] = /^([\d.]+(?:e\d+)?)([A-Za-z]*)$/.exec(text) ?? [];
  return Number(number) * (suffixes[suffix] ?? 1);
}

/** `$(NAME)` becomes the variable's value, `$$` a dollar sign; an unknown name stays as it is written. */
export function expand(text: string, variables: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\$\$|\$\(([^()]*)\)/g, (whole, name?: string) =>
    name === undefined ? "$" : (variables[name] ?? whole),
  );
}

interface NamedPort {
  readonly name: string;
  readonly port: number;
  readonly protocol: string;
}

/**
 * The variables of one Service, as containers have found Services since Docker's links.
 * @param at where programs reach a port of it
 */
export function serviceVariables(
  name: string,
  ports: readonly NamedPort[],
  at: (port: NamedPort) => { readonly address: string; readonly port: number },
): Record<string, string> {
  const prefix = variableName(name);
  const [first] = ports;
  if (first === undefined) return {};
  const variables: Record<string, string> = {
    [`${prefix}_SERVICE_HOST`]: at(first).address,
    [`${prefix}_SERVICE_PORT`]: String(at(first).port),
    [`${prefix}_PORT`]: urlOf(first, at(first)),
  };
  for (const port of ports) {
    const one = `${prefix}_PORT_${port.port}_${port.protocol}`;
    const end = at(port);
    if (port.name !== "") variables[`${prefix}_SERVICE_PORT_${variableName(port.name)}`] = String(end.port);
    variables[one] = urlOf(port, end);
    variables[`${one}_PROTO`] = port.protocol.toLowerCase();
    variables[`${one}_PORT`] = String(end.port);
    variables[`${one}_ADDR`] = end.address;
  }
  return variables;
}

function urlOf({ protocol }: NamedPort, end: { readonly address: string; readonly port: number }): string {
  return `${protocol.toLowerCase()}://${end.address}:${end.port}`;
}

/** `api-service` is API_SERVICE. */
export function variableName(name: string): string {
  return name.toUpperCase().replaceAll("-", "_");
}
