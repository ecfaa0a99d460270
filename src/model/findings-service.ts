/** What should be known about a Service: selectors and ports that lead nowhere, and fields that are not implemented. */
import type { KubeObject } from "#kube";
import type { Service } from "kubernetes-types/core/v1.js";
import { isFollowed, overruledNotes } from "./address-request.ts";
import { annotationFindings, readAnnotations } from "./external-dns.ts";
import type { PodIndex } from "./pod-index.ts";
import { algorithmAnnotation, loadBalancerAlgorithms, schedulerAnnotation } from "./compile-services.ts";
import { isProxyAnnotation, proxyProtocolNotes } from "./proxy-protocol.ts";
import type { Finding, Scheduler, ServiceModel } from "./types.ts";
import { asService } from "./views.ts";

type Note = Omit<Finding, "object">;

export function serviceFindings(
  object: KubeObject,
  service: ServiceModel,
  pods: PodIndex,
): readonly Finding[] {
  const ref = { kind: "Service", namespace: service.namespace, name: service.name };
  const notes = [
    ...selectorNotes(service, pods),
    ...fieldNotes(object),
    ...schedulerNotes(object),
    ...algorithmNotes(object, service),
    ...proxyProtocolNotes(object, service),
    ...headerNotRead(service, pods),
    ...annotationNotes(object),
    ...overruledNotes(object),
  ];
  return [
    ...notes.map((note) => ({ ...note, object: ref })),
    ...annotationFindings(object, ref),
    ...unannounced(service, object).map((note) => ({ ...note, object: ref })),
  ];
}

/** Our ingress takes a PROXY header for a bad request. */
function headerNotRead(service: ServiceModel, pods: PodIndex): Note[] {
  const { proxyProtocol, namespace, selector } = service;
  if (proxyProtocol === undefined || Object.keys(selector).length === 0) return [];
  if (!pods.matching(namespace, selector).some(({ component }) => component === "ingress")) return [];
  return [
    {
      code: "ProxyProtocolNotRead",
      severity: "warning",
      field: "metadata.annotations",
      message: `the ingress does not read PROXY ${proxyProtocol} headers yet: it answers every request with 400`,
      mend: "remove the annotation: the load balancer keeps the client's address without it",
      affectsRouting: true,
    },
  ];
}

/** external-dns can publish other Services as well; here it is the load balancer's addresses that are public. */
function unannounced(service: ServiceModel, object: KubeObject): Note[] {
  const { hostnames, foreign } = readAnnotations(object);
  if (service.type === "LoadBalancer" || hostnames.length === 0 || foreign) return [];
  return [
    {
      code: "NameNotAnnounced",
      severity: "warning",
      field: "metadata.annotations",
      message: `${hostnames.join(", ")}: names of a Service of type ${service.type} are not announced`,
      mend: "make it a Service of type LoadBalancer, or reach it through an Ingress",
      affectsRouting: false,
    },
  ];
}

function selectorNotes(service: ServiceModel, pods: PodIndex): Note[] {
  if (Object.keys(service.selector).length === 0 || service.type === "ExternalName") return [];
  const selected = pods.matching(service.namespace, service.selector);
  if (selected.length === 0) return [noPod(service, pods)];
  return service.ports.flatMap((port, i) => {
    const { targetPort, protocol } = port;
    if (typeof targetPort === "number") return [];
    const known = selected.flatMap((pod) => pod.ports).filter((p) => p.protocol === protocol);
    if (known.some((p) => p.name === targetPort)) return [];
    const names = [...new Set(known.flatMap((p) => (p.name === undefined ? [] : [p.name])))];
    return [targetPortMissing(`spec.ports[${i}].targetPort`, targetPort, names)];
  });
}

function noPod(service: ServiceModel, pods: PodIndex): Note {
  const differing = Object.entries(service.selector).flatMap(([key, value]) => {
    const values = new Set(pods.inNamespace(service.namespace).map((pod) => pod.labels[key]));
    const others = [...values].filter((other) => other !== undefined).sort();
    return values.has(value) || others.length === 0 ? [] : [{ key, value, others: others.slice(0, 5) }];
  });
  const [first] = differing;
  const selector = Object.entries(service.selector).map(([key, value]) => `${key}=${value}`);
  return {
    code: "SelectorMatchesNoPod",
    severity: "warning",
    field: "spec.selector",
    message:
      first === undefined
        ? `selector ${selector.join(",")} matches no pod in namespace ${service.namespace}`
        : `selector ${first.key}=${first.value}; pods have ${first.others.map((o) => `${first.key}=${o}`).join(", ")}`,
    mend:
      first === undefined
        ? "label the pods so that the selector matches them, or correct the selector"
        : `write ${first.key}: ${first.others[0]} in the selector, or label the pods ${first.key}=${first.value}`,
    affectsRouting: false,
  };
}

function targetPortMissing(field: string, name: string, names: readonly string[]): Note {
  return {
    code: "TargetPortNameMissing",
    severity: "warning",
    field,
    message: `no container port of the selected pods is named ${name}${names.length === 0 ? "" : `; they have ${names.join(", ")}`}`,
    mend: "name the container port so, or use its number as targetPort",
    affectsRouting: false,
  };
}

/** Fields that are not carried out everywhere: whether one is set, and what is to be known of it. */
const partlyImplementedFields: readonly {
  readonly code: string;
  readonly field: string;
  readonly isSet: (spec: NonNullable<Service["spec"]>) => boolean;
  readonly what: string;
  readonly mend: string;
}[] = [
  {
    code: "ExternalIPsOff",
    field: "spec.externalIPs",
    isSet: (spec) => (spec.externalIPs ?? []).length > 0,
    what: "externalIPs are not served unless the proxy is told to: whoever may write Services could take over any address (CVE-2020-8554)",
    mend: "use a Service of type LoadBalancer, or start the proxy with --external-ips",
  },
  {
    code: "NotImplemented",
    field: "spec.ports",
    isSet: (spec) => (spec.ports ?? []).some((port) => port.protocol === "SCTP"),
    what: "SCTP is led to the endpoints, but stand-ins do not answer it",
    mend: "map the container to a command that listens on SCTP",
  },
];

function fieldNotes(object: KubeObject): Note[] {
  const { spec } = asService(object);
  if (spec === undefined) return [];
  return partlyImplementedFields
    .filter(({ isSet }) => isSet(spec))
    .map(({ code, field, what, mend }) => ({
      code,
      severity: "warning" as const,
      field,
      message: what,
      mend,
      affectsRouting: false,
    }));
}

/** What modes of rules can keep which scheduler; every one of them can take turns. */
const schedulerModes: Readonly<Record<Scheduler, string | undefined>> = {
  rr: undefined,
  wrr: undefined,
  lc: "ipvs and userspace",
  sh: "nftables, ipvs and userspace",
};

function schedulerNotes(object: KubeObject): Note[] {
  const wanted = object.metadata?.annotations?.[schedulerAnnotation];
  if (wanted === undefined) return [];
  const note = { field: `metadata.annotations[${schedulerAnnotation}]`, affectsRouting: false };
  if (!Object.hasOwn(schedulerModes, wanted)) {
    const known = Object.keys(schedulerModes).join(", ");
    const message = `there is no scheduler ${wanted}: the endpoints take turns`;
    return [
      { ...note, code: "UnknownScheduler", severity: "warning", message, mend: `write one of ${known}` },
    ];
  }
  const modes = schedulerModes[wanted as Scheduler];
  if (modes === undefined) return [];
  const message = `scheduler ${wanted} is kept by the proxy modes ${modes}; in the others the endpoints take turns`;
  return [{ ...note, code: "SchedulerByMode", severity: "info", message }];
}

function algorithmNotes(object: KubeObject, service: ServiceModel): Note[] {
  const wanted = object.metadata?.annotations?.[algorithmAnnotation];
  if (wanted === undefined) return [];
  const { loadBalancerAlgorithm: chosen = "round-robin" } = service;
  const note = {
    severity: "warning" as const,
    field: `metadata.annotations[${algorithmAnnotation}]`,
    affectsRouting: false,
  };
  if (!loadBalancerAlgorithms.some((name) => name === wanted)) {
    const message = `there is no load-balancer algorithm ${wanted}: the nodes are chosen by ${chosen}`;
    const mend = `write one of ${loadBalancerAlgorithms.join(", ")}`;
    return [{ ...note, code: "UnknownLoadBalancerAlgorithm", message, mend }];
  }
  if (wanted === chosen) return [];
  const message = `with sessionAffinity ClientIP the nodes are chosen by ${chosen}, not by ${wanted}`;
  const mend = "remove the annotation, or the affinity";
  return [{ ...note, code: "LoadBalancerAlgorithmOverruled", message, mend }];
}

/** Annotations by which other products change where a Service's traffic goes: prefix (or whole key) and product. */
const routingAnnotations: readonly (readonly [prefix: string, product: string])[] = [
  ["service.beta.kubernetes.io/", "a cloud's load balancer"],
  ["service.cilium.io/", "Cilium"],
  ["kube-router.io/service.", "kube-router"],
  ["metallb.io/", "MetalLB"],
  ["metallb.universe.tf/", "MetalLB"],
  ["traefik.ingress.kubernetes.io/", "Traefik"],
  ["konghq.com/", "Kong"],
  ["ingress.kubernetes.io/service-upstream", "Kong"],
  ["cloud.google.com/", "Google Cloud"],
  ["haproxy.org/", "the HAProxy controller"],
];

function annotationNotes(object: KubeObject): Note[] {
  return Object.keys(object.metadata?.annotations ?? {})
    .filter((key) => !isProxyAnnotation(key) && !isFollowed(key))
    .sort()
    .flatMap((key) => {
      const known = routingAnnotations.find(([prefix]) => key.startsWith(prefix));
      return known === undefined ? [] : [unknownAnnotation(key, known[1])];
    });
}

/** The finding for an annotation that means something to another product. */
export function unknownAnnotation(key: string, product: string): Note {
  return {
    code: "UnknownAnnotation",
    severity: "warning",
    field: `metadata.annotations[${key}]`,
    message: `annotation ${key} is not implemented; ${product} would act on it, and requests could go elsewhere`,
    mend: "remove the annotation if it does not matter here",
    affectsRouting: true,
  };
}
