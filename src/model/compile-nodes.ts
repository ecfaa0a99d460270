import type { KubeObject } from "#kube";
import { isIPv4 } from "#lib/ip";
import { nameOf } from "./objects.ts";
import type { Finding, NodeModel } from "./types.ts";
import { asNode } from "./views.ts";

/** Flannel's announcement of a node's VXLAN end: `{"VNI":1,"VtepMAC":"0a:..."}`. */
const backendData = "flannel.alpha.coreos.com/backend-data";

const excludedLabel = "node.kubernetes.io/exclude-from-external-load-balancers";

function isNetwork(text: string | undefined): text is string {
  const [address = "", prefix = ""] = (text ?? "").split("/");
  return isIPv4(address) && /^\d{1,2}$/.test(prefix) && Number(prefix) <= 32;
}

/**
 * A node, or the reason why nothing can be routed to it yet. Nobody checks an address or an annotation of a Node before, and
 * they become part of rules and routes.
 */
export function compileNode(object: KubeObject): NodeModel | Finding {
  const node = asNode(object);
  const name = nameOf(object);
  const address = node.status?.addresses?.find(
    (entry) => entry.type === "InternalIP" && isIPv4(entry.address),
  )?.address;
  const podCIDR = [node.spec?.podCIDR, ...(node.spec?.podCIDRs ?? [])].find(isNetwork);
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
  return {
    name,
    address,
    podCIDR,
    ...(vtepMac === undefined ? {} : { vtepMac }),
    ...(excludedLabel in (object.metadata?.labels ?? {}) ? { excludedFromLoadBalancers: true } : {}),
    ready: node.status?.conditions?.some((c) => c.type === "Ready" && c.status === "True") ?? false,
  };
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
