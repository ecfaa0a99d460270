/** Kubernetes objects -> Snapshot. Pure: equal objects give an equal snapshot, in whatever order they come. */
import type { KubeObject } from "#kube";
import { messageOf } from "#lib/errors";
import { compileCertificates } from "./certificates.ts";
import {
  compileClasses,
  compileIngress,
  type CompiledIngress,
  mergeHosts,
  ownership,
} from "./compile-ingress.ts";
import { compileNode } from "./compile-nodes.ts";
import { compilePod, isTerminal } from "./compile-pods.ts";
import { compileService, groupSlices } from "./compile-services.ts";
import { conflictFindings, ingressFindings } from "./findings-ingress.ts";
import { policyFinding } from "./findings-policy.ts";
import { serviceFindings } from "./findings-service.ts";
import { compilePublicNames } from "./public-names.ts";
import { indexPods, type PodIndex } from "./pod-index.ts";
import {
  byAge,
  byText,
  type ClusterObjects,
  type CompileOptions,
  keyOf,
  nameOf,
  namespaceOf,
} from "./objects.ts";
import type { Finding, IngressRoutes, NodeModel, PodModel, ServiceModel, Snapshot } from "./types.ts";

/**
 * Compiles the objects of a cluster. Never throws for an object: one that cannot be read becomes an
 * `InvalidObject` finding, and all others are compiled as if it were not there.
 */
export function compile(objects: ClusterObjects, options: CompileOptions): Snapshot {
  const findings: Finding[] = [];
  const nodes = compileNodes(objects.nodes, findings);
  const { pods, podsByAddress, index } = compilePods(objects.pods, findings);
  const services = compileServices(objects, findings, index);
  const routes = compileRoutes(objects, options, services, findings);
  forEach(objects.networkPolicies ?? [], "NetworkPolicy", findings, (object) => {
    findings.push(policyFinding(object, index));
  });
  return {
    domain: options.domain,
    nodes,
    pods,
    podsByAddress,
    namespaces: new Set(objects.namespaces.map(nameOf).sort()),
    services,
    routes,
    publicNames: compilePublicNames(objects.ingresses, objects.services),
    findings,
  };
}

/** Calls `each` for every object, in the order of their names unless told; what it throws becomes a finding. */
function forEach(
  objects: readonly KubeObject[],
  kind: string,
  findings: Finding[],
  each: (object: KubeObject, key: string) => void,
  order: (a: KubeObject, b: KubeObject) => number = () => 0,
): void {
  const keyed = objects.map((object) => ({ key: keyOf(object), object }));
  for (const { key, object } of keyed.sort((a, b) => order(a.object, b.object) || byText(a.key, b.key))) {
    try {
      each(object, key);
    } catch (error) {
      findings.push(invalidObject(kind, object, error));
    }
  }
}

function invalidObject(kind: string, object: KubeObject, error: unknown): Finding {
  return {
    code: "InvalidObject",
    severity: "error",
    object: { kind, namespace: namespaceOf(object), name: nameOf(object) },
    message: `${kind} ${keyOf(object)} cannot be read: ${messageOf(error)}`,
    mend: "correct the object; it is ignored until then",
    affectsRouting: true,
  };
}

function compileNodes(objects: readonly KubeObject[], findings: Finding[]): Map<string, NodeModel> {
  const nodes = new Map<string, NodeModel>();
  forEach(objects, "Node", findings, (object) => {
    const node = compileNode(object);
    if ("code" in node) findings.push(node);
    else nodes.set(node.name, node);
  });
  return nodes;
}

interface CompiledPods {
  readonly pods: ReadonlyMap<string, PodModel>;
  readonly podsByAddress: ReadonlyMap<string, PodModel>;
  /** Without those that ended. */
  readonly index: PodIndex;
}

function compilePods(objects: readonly KubeObject[], findings: Finding[]): CompiledPods {
  const pods = new Map<string, PodModel>();
  const podsByAddress = new Map<string, PodModel>();
  const running: PodModel[] = [];
  forEach(objects, "Pod", findings, (object, key) => {
    const pod = compilePod(object);
    pods.set(key, pod);
    if (isTerminal(object)) return;
    running.push(pod);
    if (pod.hostNetwork) return;
    for (const address of pod.addresses) {
      // An address may be given out again while its last owner still ends.
      const owner = podsByAddress.get(address);
      if (owner === undefined || !pod.terminating || owner.terminating) podsByAddress.set(address, pod);
    }
  });
  return { pods, podsByAddress, index: indexPods(running) };
}

function compileServices(
  objects: ClusterObjects,
  findings: Finding[],
  pods: PodIndex,
): Map<string, ServiceModel> {
  const services = new Map<string, ServiceModel>();
  const slices = groupSlices(objects.endpointSlices);
  forEach(objects.services, "Service", findings, (object, key) => {
    const service = compileService(object, slices);
    services.set(key, service);
    findings.push(...serviceFindings(object, service, pods));
  });
  return services;
}

function compileRoutes(
  objects: ClusterObjects,
  options: CompileOptions,
  services: ReadonlyMap<string, ServiceModel>,
  findings: Finding[],
): IngressRoutes {
  const classes = compileClasses(objects.ingressClasses, options.controllerName ?? "inroad.dev/ingress");
  const secrets = new Map(objects.secrets.map((secret) => [keyOf(secret), secret]));
  const compiled: CompiledIngress[] = [];
  const certificates: IngressRoutes["certificates"][number][] = [];
  const compileOne = (object: KubeObject): void => {
    const { ours, finding } = ownership(object, classes);
    if (finding !== undefined) findings.push(finding);
    if (!ours) return;
    const ingress = compileIngress(object, services);
    const tls = compileCertificates(object, secrets);
    compiled.push(ingress);
    certificates.push(...tls.certificates);
    findings.push(...ingress.findings, ...tls.findings, ...ingressFindings(object));
  };
  forEach(objects.ingresses, "Ingress", findings, compileOne, byAge);
  const hosts = mergeHosts(compiled);
  findings.push(...conflictFindings(hosts));
  const defaultBackend = compiled.find((ingress) => ingress.defaultBackend !== undefined)?.defaultBackend;
  return {
    hosts,
    ...(defaultBackend === undefined ? {} : { defaultBackend }),
    certificates,
  };
}
