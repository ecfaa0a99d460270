import { at, isJsonObject, listAt, objectAt, textAt, type JsonObject } from "./json.ts";

const hasClusterIP = (spec: JsonObject): boolean => spec["type"] !== "ExternalName";
const hasNodePorts = (spec: JsonObject): boolean =>
  spec["type"] === "NodePort" || spec["type"] === "LoadBalancer";

/** A Service with a health check port: a load balancer that sends traffic only to nodes with endpoints. */
const hasHealthCheckPort = (spec: JsonObject): boolean =>
  spec["type"] === "LoadBalancer" && spec["externalTrafficPolicy"] === "Local";

/** Fills in what follows from the other fields alone; families, addresses and ports are a matter of the cluster. */
export function createdService(service: JsonObject): JsonObject {
  return { ...service, spec: withClusterIPs(objectAt(service, "spec")) };
}

function withClusterIPs(spec: JsonObject): JsonObject {
  const address = textAt(spec, "clusterIP");
  if (!hasClusterIP(spec) || address === "" || listAt(spec, "clusterIPs").length > 0) return spec;
  return { ...spec, clusterIPs: [address] };
}

/**
 * An update keeps the values that were allocated where the client left them out and the type still has them, and drops
 * those that belonged to the former type, unless the client changed them.
 */
export function updatedService(service: JsonObject, old: JsonObject): JsonObject {
  const oldSpec = objectAt(old, "spec");
  const kept = withOldValues(objectAt(service, "spec"), oldSpec);
  const spec = withoutSecondary(withClusterIPs(withoutFormerType(kept, oldSpec)), oldSpec);
  if (spec["type"] === "LoadBalancer") return { ...service, spec };
  return { ...service, spec, status: { ...objectAt(service, "status"), loadBalancer: {} } };
}

function withOldValues(spec: JsonObject, old: JsonObject): JsonObject {
  const result: Record<string, unknown> = { ...spec };
  if (hasClusterIP(spec) && hasClusterIP(old)) {
    Object.assign(result, keptAddresses(spec, old));
    result["ipFamilies"] ??= old["ipFamilies"];
    result["ipFamilyPolicy"] ??= old["ipFamilyPolicy"];
  }
  if (takesNodePorts(spec) && hasNodePorts(old)) result["ports"] = withOldNodePorts(spec, old);
  if (hasHealthCheckPort(spec) && hasHealthCheckPort(old)) {
    result["healthCheckNodePort"] ??= old["healthCheckNodePort"];
  }
  return result;
}

/** An address that was left out stays; one that was changed alone (by a client that knows no lists) is the whole list. */
function keptAddresses(spec: JsonObject, old: JsonObject): JsonObject {
  const clusterIP = textAt(spec, "clusterIP") || old["clusterIP"];
  const given = listAt(spec, "clusterIPs");
  if (clusterIP === old["clusterIP"])
    return { clusterIP, clusterIPs: given.length > 0 ? given : old["clusterIPs"] };
  const untouched = given.length === 0 || sameValue(given, old["clusterIPs"]);
  return { clusterIP, clusterIPs: untouched ? [clusterIP] : given };
}

/** Policy SingleStack alone gives back the second family: the lists that were not changed lose their second entry. */
function withoutSecondary(spec: JsonObject, old: JsonObject): JsonObject {
  const wasDual = ["PreferDualStack", "RequireDualStack"].includes(textAt(old, "ipFamilyPolicy"));
  if (!wasDual || spec["ipFamilyPolicy"] !== "SingleStack") return spec;
  const trimmed = ["clusterIPs", "ipFamilies"]
    .filter((field) => sameValue(spec[field], old[field]))
    .map((field) => [field, listAt(spec, field).slice(0, 1)]);
  return { ...spec, ...Object.fromEntries(trimmed) };
}

/** A load balancer may do without node ports. */
const takesNodePorts = (spec: JsonObject): boolean =>
  hasNodePorts(spec) && spec["allocateLoadBalancerNodePorts"] !== false;

const nodePortsOf = (spec: JsonObject): unknown[] =>
  listAt(spec, "ports").map((port) => at(port, "nodePort"));

/** Ports keep their node port by name, unless another port has taken it. */
function withOldNodePorts(spec: JsonObject, old: JsonObject): readonly unknown[] {
  const former = new Map(listAt(old, "ports").map((port) => [textAt(port, "name"), at(port, "nodePort")]));
  const taken = new Set(nodePortsOf(spec));
  return listAt(spec, "ports").map((port) => {
    const nodePort = former.get(textAt(port, "name"));
    const free = nodePort !== undefined && !taken.has(nodePort);
    return isJsonObject(port) && port["nodePort"] === undefined && free ? { ...port, nodePort } : port;
  });
}

function withoutFormerType(spec: JsonObject, old: JsonObject): JsonObject {
  const result: Record<string, unknown> = { ...spec };
  const drop = (still: (spec: JsonObject) => boolean, field: string): void => {
    if (still(old) && !still(spec) && sameValue(spec[field], old[field])) delete result[field];
  };
  for (const field of ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"]) drop(hasClusterIP, field);
  drop(hasHealthCheckPort, "healthCheckNodePort");
  drop((value) => value["type"] === "LoadBalancer", "allocateLoadBalancerNodePorts");
  drop((value) => value["type"] === "LoadBalancer", "loadBalancerClass");
  drop(hasExternalPolicy, "externalTrafficPolicy");
  drop(hasClusterIP, "internalTrafficPolicy");
  if (hasNodePorts(old) && !hasNodePorts(spec)) result["ports"] = withoutNodePorts(spec, old);
  return result;
}

const hasExternalPolicy = (spec: JsonObject): boolean =>
  hasNodePorts(spec) || (spec["type"] === "ClusterIP" && listAt(spec, "externalIPs").length > 0);

const sameValue = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

function withoutNodePorts(spec: JsonObject, old: JsonObject): readonly unknown[] {
  const former = new Set(nodePortsOf(old));
  return listAt(spec, "ports").map((port) => {
    if (!isJsonObject(port) || !former.has(port["nodePort"])) return port;
    const { nodePort: _dropped, ...rest } = port;
    return rest;
  });
}
