import type { KubeObject } from "#kube";
import type { Node } from "kubernetes-types/core/v1.js";
import { canonicalAddress, canonicalCidr, familyOf, isIPv4, type IpFamily } from "#lib/ip";
import { nameOf } from "./objects.ts";
import type { Finding, NodeModel } from "./types.ts";
import { asNode } from "./views.ts";

/** Flannel's announcement of a node's VXLAN end: `{"VNI":1,"VtepMAC":"0a:..."}`. */
const backendData = "flannel.alpha.coreos.com/backend-data";
const backendType = "flannel.alpha.coreos.com/backend-type";

const excludedLabel = "node.kubernetes.io/exclude-from-external-load-balancers";

const zoneLabel = "topology.kubernetes.io/zone";

/** The first of each family, in canonical form. */
function onePerFamily(texts: readonly string[]): readonly string[] {
  const families = new Map<IpFamily, string>();
  for (const text of texts) if (!families.has(familyOf(text))) families.set(familyOf(text), text);
  return [...families.values()];
}

/**
 * A node, or the reason why nothing can be routed to it yet. Nobody checks an address or an annotation of a Node before, and
 * they become part of rules and routes.
 */
export function compileNode(object: KubeObject): NodeModel | Finding {
  const node = asNode(object);
  const name = nameOf(object);
  const addresses = onePerFamily(
    (node.status?.addresses ?? []).flatMap((entry) =>
      entry.type === "InternalIP" ? (canonicalAddress(entry.address) ?? []) : [],
    ),
  );
  const podCIDRs = onePerFamily(
    [node.spec?.podCIDR ?? "", ...(node.spec?.podCIDRs ?? [])].flatMap((cidr) => canonicalCidr(cidr) ?? []),
  );
  const address = addresses.find(isIPv4);
  const podCIDR = podCIDRs.find((cidr) => familyOf(cidr) === "IPv4");
  if (address === undefined || podCIDR === undefined) {
    const missing = address === undefined ? "IPv4 InternalIP in status.addresses" : "IPv4 spec.podCIDR";
    return {
      code: "NodeNotRoutable",
      severity: "warning",
      object: { kind: "Node", name },
      field: address === undefined ? "status.addresses" : "spec.podCIDR",
      message: `node ${name} has no ${missing}`,
      mend: "wait for the node agent to register it, or set the field",
      affectsRouting: false,
    };
  }
  const vtepMac = vtepMacOf(object.metadata?.annotations?.[backendData]);
  const overlay = object.metadata?.annotations?.[backendType];
  const zone = object.metadata?.labels?.[zoneLabel];
  return {
    name,
    address,
    addresses,
    podCIDR,
    podCIDRs,
    ...(zone === undefined || zone === "" ? {} : { zone }),
    ...(overlay === "vxlan" || overlay === "host-gw" ? { overlay } : {}),
    ...(vtepMac === undefined ? {} : { vtepMac }),
    ...(excludedLabel in (object.metadata?.labels ?? {}) ? { excludedFromLoadBalancers: true } : {}),
    ...(isLeaving(node) ? { leaving: true } : {}),
    ready: node.status?.conditions?.some((c) => c.type === "Ready" && c.status === "True") ?? false,
  };
}

function isLeaving({ metadata, spec }: Node): boolean {
  return (
    metadata?.deletionTimestamp !== undefined ||
    (spec?.taints ?? []).some((taint) => taint.key === "ToBeDeletedByClusterAutoscaler")
  );
}

function vtepMacOf(annotation: string | undefined): string | undefined {
  if (annotation === undefined) return undefined;
  try {
    const data: unknown = JSON.parse(annotation);
    if (typeof data !== "object" || data === null || !("VtepMAC" in data)) return undefined;
    const { VtepMAC: mac } = data;
    return typeof mac === "string" && /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/i.test(mac) ? mac : undefined;
  } catch {
    return undefined;
  }
}
