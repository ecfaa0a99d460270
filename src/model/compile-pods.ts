import { componentOf, type KubeObject } from "#kube";
import { canonicalAddress } from "#lib/ip";
import type { Container, Pod } from "kubernetes-types/core/v1.js";
import { perObject } from "./memo.ts";
import { nameOf, namespaceOf } from "./objects.ts";
import type { PodModel, Protocol } from "./types.ts";
import { asPod } from "./views.ts";

/** A pod as hops see it. */
export const compilePod = perObject((object: KubeObject): PodModel => {
  const pod = asPod(object);
  const { spec, status } = pod;
  const hostname = spec?.hostname;
  const subdomain = spec?.subdomain;
  const component = componentOf(object);
  const addresses = addressesOf(status);
  const weight = weightOf(object);
  return {
    namespace: namespaceOf(object),
    name: nameOf(object),
    uid: object.metadata?.uid ?? "",
    node: spec?.nodeName,
    address: addresses[0],
    addresses,
    labels: object.metadata?.labels ?? {},
    ready: status?.conditions?.some((c) => c.type === "Ready" && c.status === "True") ?? false,
    terminating: object.metadata?.deletionTimestamp !== undefined,
    hostNetwork: spec?.hostNetwork ?? false,
    ports: longRunning(pod).flatMap(portsOf),
    ...(hostname === undefined || hostname === "" ? {} : { hostname }),
    ...(subdomain === undefined || subdomain === "" ? {} : { subdomain }),
    ...(hasOwnResolver(spec) ? { ownResolver: true } : {}),
    ...(weight === undefined ? {} : { weight }),
    ...(component === undefined ? {} : { component }),
  };
});

/** ClusterFirst means the host's resolver for pods of the host's network (API documentation of dnsPolicy). */
function hasOwnResolver(spec: Pod["spec"]): boolean {
  const policy = spec?.dnsPolicy ?? "ClusterFirst";
  const usual = spec?.hostNetwork === true ? "ClusterFirstWithHostNet" : "ClusterFirst";
  return policy !== usual || spec?.dnsConfig !== undefined;
}

function addressesOf(status: Pod["status"]): readonly string[] {
  const all = [status?.podIP, ...(status?.podIPs ?? []).map(({ ip }) => ip)];
  return [...new Set(all.flatMap((ip) => canonicalAddress(ip ?? "") ?? []))];
}

/** What is no whole number from 1 to 100 counts for nothing. */
function weightOf(object: KubeObject): number | undefined {
  const text = object.metadata?.annotations?.["inroad.dev/weight"];
  return text !== undefined && /^(?:[1-9]\d?|100)$/.test(text) ? Number(text) : undefined;
}

/** A pod that ran to its end; its address may already belong to another pod. */
export function isTerminal(object: KubeObject): boolean {
  const phase = asPod(object).status?.phase;
  return phase === "Succeeded" || phase === "Failed";
}

/** Containers that run beside each other: the ordinary ones and the sidecars (KEP-753). */
function longRunning(pod: Pod): Container[] {
  const sidecars = (pod.spec?.initContainers ?? []).filter((c) => c.restartPolicy === "Always");
  return [...(pod.spec?.containers ?? []), ...sidecars];
}

function portsOf(container: Container): PodModel["ports"] {
  return (container.ports ?? []).map((port) => ({
    ...(port.name === undefined ? {} : { name: port.name }),
    containerPort: port.containerPort,
    protocol: protocolOf(port.protocol),
  }));
}

/** The API defaults a missing protocol to TCP. */
export function protocolOf(text: string | undefined): Protocol {
  return text === "UDP" || text === "SCTP" ? text : "TCP";
}
