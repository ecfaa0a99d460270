/** Kubernetes objects -> Snapshot. Pure: equal objects give an equal snapshot, in whatever order they come. */
import type { KubeObject } from "#kube";
import { compileCertificates } from "./certificates.ts";
import { compileServices } from "./compile-all-services.ts";
import {
  compileClasses,
  compileIngress,
  type CompiledIngress,
  mergeHosts,
  ownership,
} from "./compile-ingress.ts";
import { compilePolicies } from "./compile-all-policies.ts";
import { compileNode } from "./compile-nodes.ts";
import { compilePod, isTerminal } from "./compile-pods.ts";
import { compileRanges } from "./compile-ranges.ts";
import { forEach } from "./each-object.ts";
import { perObject } from "./memo.ts";
import { nodeClashes, podClash, rangeClashes, serviceClashes } from "./findings-clash.ts";
import { conflictFindings, ingressFindings } from "./findings-ingress.ts";
import { compilePublicNames } from "./public-names.ts";
import { indexPods, type PodIndex } from "./pod-index.ts";
import { byAge, type ClusterObjects, type CompileOptions, keyOf, nameOf } from "./objects.ts";
import type { Finding, IngressRoutes, NodeModel, PodModel, ServiceModel, Snapshot } from "./types.ts";

/**
 * Compiles the objects of a cluster. Never throws for an object: one that cannot be read becomes an
 * `InvalidObject` finding, and all others are compiled as if it were not there.
 */
export function compile(objects: ClusterObjects, options: CompileOptions): Snapshot {
  const { nodes, findings: nodeFindings } = compileNodes(objects.nodes);
  const { pods, podsByAddress, index, findings: podFindings } = compilePods(objects.pods);
  const { services, findings: serviceFindings } = compileServices(
    objects.services,
    objects.endpointSlices,
    index,
  );
  const serviceCIDRs = compileRanges(objects.serviceCIDRs ?? []);
  const findings: Finding[] = [
    ...nodeFindings,
    ...nodeClashes(nodes),
    ...rangeClashes(nodes, serviceCIDRs),
    ...podFindings,
    ...serviceFindings,
    ...serviceClashes(objects.services, services),
  ];
  const routes = compileRoutes(objects, options, services, findings);
  const { policies, findings: policyFindings } = compilePolicies(objects, { nodes, pods, index, services });
  findings.push(...policyFindings);
  return {
    domain: options.domain,
    nodes,
    pods,
    podsByAddress,
    namespaces: new Set(objects.namespaces.map(nameOf).sort()),
    services,
    serviceCIDRs,
    policies,
    routes,
    publicNames: publicNamesOf(objects.ingresses)(objects.services),
    findings,
  };
}

const publicNamesOf = perObject((ingresses: readonly KubeObject[]) =>
  perObject((services: readonly KubeObject[]) => compilePublicNames(ingresses, services)),
);

interface CompiledNodes {
  readonly nodes: ReadonlyMap<string, NodeModel>;
  readonly findings: readonly Finding[];
}

const compileNodes = perObject((objects: readonly KubeObject[]): CompiledNodes => {
  const nodes = new Map<string, NodeModel>();
  const findings: Finding[] = [];
  forEach(objects, "Node", findings, (object) => {
    const node = compileNode(object);
    if ("code" in node) findings.push(node);
    else nodes.set(node.name, node);
  });
  return { nodes, findings };
});

interface CompiledPods {
  readonly pods: ReadonlyMap<string, PodModel>;
  readonly podsByAddress: ReadonlyMap<string, PodModel>;
  /** Without those that ended. */
  readonly index: PodIndex;
  readonly findings: readonly Finding[];
}

const compilePods = perObject((objects: readonly KubeObject[]): CompiledPods => {
  const findings: Finding[] = [];
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
      if (owner !== undefined && !owner.terminating && !pod.terminating)
        findings.push(podClash(pod, address, owner));
      if (owner === undefined || !pod.terminating || owner.terminating) podsByAddress.set(address, pod);
    }
  });
  return { pods, podsByAddress, index: indexPods(running), findings };
});

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
