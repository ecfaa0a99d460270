/**
 * Services whose load balancer is to say whose a connection is, by the PROXY protocol. Kubernetes has no field for it; every
 * cloud has an annotation, and the status says `ipMode: Proxy` (KEP-1860).
 */
import type { KubeObject } from "#kube";
import type { Finding, ProxyProtocol, ServiceModel } from "./types.ts";

const ownAnnotation = "inroad.dev/proxy-protocol";

/** By annotation: what its values ask for; undefined: nothing. */
const annotations: ReadonlyMap<string, Readonly<Record<string, ProxyProtocol | undefined>>> = new Map([
  [ownAnnotation, { v1: "v1", v2: "v2" }],
  // As Classic Load Balancers and DigitalOcean's speak it.
  ["service.beta.kubernetes.io/aws-load-balancer-proxy-protocol", { "*": "v1" }],
  ["service.beta.kubernetes.io/do-loadbalancer-enable-proxy-protocol", { true: "v1", false: undefined }],
]);

/** Whether an annotation is read here. */
export function isProxyAnnotation(key: string): boolean {
  return annotations.has(key);
}

/** What a Service asks for; its own annotation counts before those of clouds. */
export function proxyProtocolOf(object: KubeObject): ProxyProtocol | undefined {
  const asked = object.metadata?.annotations ?? {};
  for (const [key, versions] of annotations) {
    const value = asked[key];
    if (value !== undefined && Object.hasOwn(versions, value)) return versions[value];
  }
  return undefined;
}

type Note = Omit<Finding, "object">;

/** Values that nobody knows, and ports that cannot be served so. */
export function proxyProtocolNotes(object: KubeObject, service: ServiceModel): readonly Note[] {
  const asked = object.metadata?.annotations ?? {};
  const unknown = [...annotations].flatMap(([key, versions]): Note[] => {
    const value = asked[key];
    if (value === undefined || Object.hasOwn(versions, value)) return [];
    return [
      {
        code: "UnknownProxyProtocol",
        severity: "warning",
        field: `metadata.annotations[${key}]`,
        message: `there is no PROXY protocol ${value}: none is spoken`,
        mend: `write one of ${Object.keys(versions).join(", ")}`,
        affectsRouting: true,
      },
    ];
  });
  return service.proxyProtocol === undefined ? unknown : [...unknown, ...unserved(service)];
}

function unserved({ proxyProtocol, ports }: ServiceModel): readonly Note[] {
  const without = ports.flatMap(({ protocol, nodePort }, index): Note[] => {
    if (protocol === "TCP" && nodePort !== undefined) return [];
    const message =
      protocol === "TCP"
        ? "the load balancer reaches the nodes by node ports, and this port has none: it is refused"
        : `the PROXY protocol is spoken on TCP only: this port (${protocol}) is refused`;
    const mend =
      protocol === "TCP"
        ? "remove allocateLoadBalancerNodePorts: false"
        : "put the port into a Service of its own";
    const field = `spec.ports[${index}]`;
    return [{ code: "ProxyProtocolPort", severity: "warning", field, message, mend, affectsRouting: true }];
  });
  const message = `PROXY ${proxyProtocol} is spoken to the endpoints; without namespaces (proxy mode userspace) its addresses are refused`;
  const field = "metadata.annotations";
  return [
    ...without,
    { code: "ProxyProtocolByMode", severity: "info", field, message, affectsRouting: false },
  ];
}
