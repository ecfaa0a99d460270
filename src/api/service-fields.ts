import { resolveFamilies } from "#kube/server";
import type { FieldError, KubeObject } from "#kube";
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

/**
 * The Service with its addresses and ports chosen; it has not been validated yet. Throws 422 for values that are taken or out of range
 * (500 for a health check port, as the original does).
 */
export function allocate(allocator: Allocator, service: KubeObject, old?: KubeObject): KubeObject {
  const spec: Spec = { ...withFamilies(allocator, service, old) };
  const fail = (reason: FieldError["reason"], field: string, message: string): ApiFault =>
    invalid({ group: "", kind: "Service" }, service.metadata?.name ?? "", [{ reason, field, message }]);
  const owner = ownerOf(service);
  if (needsAddress(service)) {
    const held = old === undefined || !needsAddress(old) ? [] : listAt(old, "spec", "clusterIPs");
    setAddresses(spec, held.length, { allocator, owner, fail });
  }
  if (needsNodePorts(service) || mayHaveNodePorts(service)) {
    setNodePorts(spec, allocator, service, owner, fail);
  }
  if (needsHealthPort(service)) setHealthPort(spec, allocator, owner, old);
  return { ...service, spec };
}

function withFamilies(allocator: Allocator, service: KubeObject, old: KubeObject | undefined): Spec {
  const oldSpec = old === undefined ? undefined : recordAt(old, "spec");
  const { spec, errors } = resolveFamilies(recordAt(service, "spec"), oldSpec, allocator.families());
  if (errors.length > 0) throw invalid({ group: "", kind: "Service" }, service.metadata?.name ?? "", errors);
  return spec;
}

type Fail = (reason: FieldError["reason"], field: string, message: string) => ApiFault;

/**
 * An address of each family that the Service is to have: those that it names, new ones for the others.
 * @param held so many addresses were there before; a change of them is for validation to refuse
 */
function setAddresses(
  spec: Spec,
  held: number,
  { allocator, owner, fail }: { allocator: Allocator; owner: string; fail: Fail },
): void {
  const given = listAt(spec, "clusterIPs").map(String);
  if (given[0] === "None") return;
  const families = listAt(spec, "ipFamilies").map((family) => (family === "IPv6" ? "IPv6" : "IPv4"));
  const addresses = families.map((family, index) => {
    const wanted = given[index];
    if (wanted !== undefined && wanted !== "") {
      const why = index < held ? undefined : allocator.refuseAddress(wanted, owner);
      if (why === undefined) return wanted;
      const message = `Invalid value: ${JSON.stringify(given)}: failed to allocate IP ${wanted}: ${why}`;
      throw fail("FieldValueInvalid", "spec.clusterIPs", message);
    }
    const chosen = allocator.nextAddress(family);
    if (chosen === undefined) throw internalError("failed to allocate a serviceIP: range is full");
    return chosen;
  });
  spec["clusterIPs"] = addresses;
  spec["clusterIP"] = addresses[0];
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
