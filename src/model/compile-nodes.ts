import type { KubeObject } from "#kube";
import { nameOf } from "./objects.ts";
import type { Finding, NodeModel } from "./types.ts";
import { asNode } from "./views.ts";

/** Flannel's announcement of a node's VXLAN end: `{"VNI":1,"VtepMAC":"0a:..."}`. */
const backendData = "flannel.alpha.coreos.com/backend-data";

const excludedLabel = "node.kubernetes.io/exclude-from-external-load-balancers";

/** A node, or the reason why nothing can be routed to it yet. */
export function compileNode(object: KubeObject): NodeModel | Finding {
  const node = asNode(object);
  const name = nameOf(object);
  const address = node.status?.addresses?.find((entry) => entry.type === "InternalIP")?.address;
  const podCIDR = node.spec?.podCIDR ?? node.spec?.podCIDRs?.[0];
  if (address === undefined || podCIDR === undefined || podCIDR === "") {
    const missing = address === undefined ? "InternalIP in status.addresses" : "spec.podCIDR";
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
    return typeof data.VtepMAC === "string" ? data.VtepMAC : undefined;
  } catch {
    return undefined;
  }
}
