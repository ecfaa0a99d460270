import type { FieldError, KubeObject } from "#kube";
import { isIPv4 } from "#lib/ip";
import { isRecord } from "./body.ts";
import { listAt, numberAt, recordAt, textAt } from "./fields.ts";
import { ownerOf } from "./service-allocation.ts";
import type { Allocator } from "./service-allocation.ts";
import { internalError, invalid } from "./status.ts";
import type { ApiFault } from "./status.ts";

/**
 * The fields of a Service that depend on its type and on the cluster: addresses, node ports, health check port.
 * Rules as in the API server's Service registry (types ClusterIP, NodePort, LoadBalancer, ExternalName).
 */

type Spec = Record<string, unknown>;
interface Port {
  readonly name?: string;
  readonly protocol?: string;
  readonly port?: number;
  readonly nodePort?: number;
}

const typeOf = (service: KubeObject): string => textAt(service, "spec", "type") || "ClusterIP";
const needsAddress = (service: KubeObject): boolean => typeOf(service) !== "ExternalName";
const needsNodePorts = (service: KubeObject): boolean => {
  if (typeOf(service) === "NodePort") return true;
  return (
    typeOf(service) === "LoadBalancer" && recordAt(service, "spec")["allocateLoadBalancerNodePorts"] !== false
  );
};
const mayHaveNodePorts = (service: KubeObject): boolean =>
  typeOf(service) === "NodePort" || typeOf(service) === "LoadBalancer";
const needsHealthPort = (service: KubeObject): boolean =>
  typeOf(service) === "LoadBalancer" && textAt(service, "spec", "externalTrafficPolicy") === "Local";
const portsOf = (service: KubeObject): Port[] =>
  listAt(service, "spec", "ports").flatMap((port) => (isRecord(port) ? [port] : []));

const isText = (value: unknown): value is string => typeof value === "string" && value !== "";

/**
 * The Service with its addresses and ports chosen; it has not been validated yet. Throws 422 for values that are taken or out of range
 * (500 for a health check port, as the original does).
 */
export function allocate(allocator: Allocator, service: KubeObject, old?: KubeObject): KubeObject {
  const spec: Spec = { ...recordAt(service, "spec") };
  const fail = (reason: FieldError["reason"], field: string, message: string): ApiFault =>
    invalid({ group: "", kind: "Service" }, service.metadata?.name ?? "", [{ reason, field, message }]);
  const owner = ownerOf(service);
  if (needsAddress(service)) {
    checkFamilies(service, fail);
    setAddress(spec, allocator, owner, fail);
  }
  if (needsNodePorts(service) || mayHaveNodePorts(service)) {
    setNodePorts(spec, allocator, service, owner, fail);
  }
  if (needsHealthPort(service)) setHealthPort(spec, allocator, owner, old);
  return { ...service, spec };
}

type Fail = (reason: FieldError["reason"], field: string, message: string) => ApiFault;

/** The cluster has IPv4 only; a headless Service without selector may name any family, nothing is allocated for it. */
function checkFamilies(service: KubeObject, fail: Fail): void {
  const headless = textAt(service, "spec", "clusterIP") === "None";
  if (headless && Object.keys(recordAt(service, "spec", "selector")).length === 0) return;
  const six = listAt(service, "spec", "ipFamilies").indexOf("IPv6");
  if (six >= 0) {
    const message = 'Invalid value: "IPv6": not configured on this cluster';
    throw fail("FieldValueInvalid", `spec.ipFamilies[${six}]`, message);
  }
  if (textAt(service, "spec", "ipFamilyPolicy") === "RequireDualStack") {
    const message =
      'Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services';
    throw fail("FieldValueInvalid", "spec.ipFamilyPolicy", message);
  }
}

function setAddress(spec: Spec, allocator: Allocator, owner: string, fail: Fail): void {
  const given = isText(spec["clusterIP"]) ? spec["clusterIP"] : listAt(spec, "clusterIPs").map(String)[0];
  if (given === undefined || given === "") {
    const chosen = allocator.nextAddress();
    if (chosen === undefined) throw internalError("failed to allocate a serviceIP: range is full");
    spec["clusterIP"] = chosen;
  } else if (given !== "None") {
    // What is no IPv4 address at all is for validation to refuse.
    const why = isIPv4(given) ? allocator.refuseAddress(given, owner) : undefined;
    if (why !== undefined) {
      throw fail(
        "FieldValueInvalid",
        "spec.clusterIPs",
        `Invalid value: ${JSON.stringify([given])}: failed to allocate IP ${given}: ${why}`,
      );
    }
    spec["clusterIP"] = given;
  } else spec["clusterIP"] = "None";
  if (listAt(spec, "clusterIPs").length === 0) spec["clusterIPs"] = [spec["clusterIP"]];
}

function setNodePorts(
  spec: Spec,
  allocator: Allocator,
  service: KubeObject,
  owner: string,
  fail: Fail,
): void {
  const automatic = needsNodePorts(service);
  const used = new Map<number, Set<string>>();
  const byPort = new Map<number, number>();
  const note = (port: Port, nodePort: number): void => {
    const protocols = used.get(nodePort) ?? new Set();
    used.set(nodePort, protocols.add(port.protocol ?? "TCP"));
    if (port.port !== undefined && !byPort.has(port.port)) byPort.set(port.port, nodePort);
  };
  const ports = portsOf(service);
  ports.forEach((port, index) => {
    const wanted = port.nodePort ?? 0;
    if (wanted === 0) return;
    const taken = used.get(wanted)?.has(port.protocol ?? "TCP") === true;
    const why = taken ? "provided port is already allocated" : allocator.refusePort(wanted, owner);
    if (why !== undefined) {
      throw fail("FieldValueInvalid", `spec.ports[${index}].nodePort`, `Invalid value: ${wanted}: ${why}`);
    }
    note(port, wanted);
  });
  spec["ports"] = ports.map((port) => {
    const { nodePort, ...rest } = port;
    if ((nodePort ?? 0) !== 0) return port;
    if (!automatic) return rest;
    // TCP and UDP of one port number share a node port where they can.
    const shared = byPort.get(port.port ?? 0);
    const usable = shared !== undefined && used.get(shared)?.has(port.protocol ?? "TCP") !== true;
    const chosen = usable ? shared : allocator.nextPort(new Set(used.keys()));
    if (chosen === undefined) throw internalError("failed to allocate a nodePort: range is full");
    note(port, chosen);
    return { ...rest, nodePort: chosen };
  });
}

function setHealthPort(spec: Spec, allocator: Allocator, owner: string, old: KubeObject | undefined): void {
  const wanted = numberAt(spec, "healthCheckNodePort");
  const others = new Set(listAt(spec, "ports").map((port) => numberAt(port, "nodePort")));
  if (wanted === 0) {
    const chosen = allocator.nextPort(others);
    if (chosen === undefined) throw internalError("failed to allocate a HealthCheck NodePort: range is full");
    spec["healthCheckNodePort"] = chosen;
    return;
  }
  const kept = old !== undefined && numberAt(old, "spec", "healthCheckNodePort") === wanted;
  const clash = others.has(wanted) ? "provided port is already allocated" : undefined;
  const why = kept ? undefined : (clash ?? allocator.refusePort(wanted, owner));
  if (why === undefined) return;
  throw internalError(`failed to allocate requested HealthCheck NodePort ${wanted}: ${why}`);
}
