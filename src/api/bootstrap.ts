import { kindOf } from "#kube";
import type { KindInfo, KubeObject } from "#kube";
import { numberToIPv4, parseCidr } from "#lib/ip";
import type { Context } from "./context.ts";
import { create } from "./lifecycle.ts";

const NAMESPACES = ["default", "kube-system", "kube-public", "kube-node-lease"];

/** What exists in every cluster from its first moment. */
export function bootstrap(
  context: Context,
  options: { serviceCIDR: string; endpoint: { address: string; port: number } | undefined },
): void {
  for (const name of NAMESPACES) make(context, "v1", "Namespace", { metadata: { name } });
  const { endpoint } = options;
  if (endpoint !== undefined) makeKubernetesService(context, options.serviceCIDR, endpoint);
}

function make(context: Context, apiVersion: string, kindName: string, fields: KubeObject): void {
  const kind = context.kinds.find((item) => item === kindOf(apiVersion, kindName));
  if (kind === undefined) return;
  create(
    context,
    targetOf(kind, fields.metadata?.namespace),
    { apiVersion, kind: kindName, ...fields },
    false,
  );
}

const targetOf = (kind: KindInfo, namespace: string | undefined): Parameters<typeof create>[1] => ({
  kind,
  namespace: kind.namespaced ? namespace : undefined,
  name: undefined,
  subresource: undefined,
  rest: "",
});

/** The Service by which pods reach this API: the first address of the range, with endpoints kept by the server. */
function makeKubernetesService(
  context: Context,
  serviceCIDR: string,
  endpoint: { address: string; port: number },
): void {
  const namespace = "default";
  const name = "kubernetes";
  const labels = { component: "apiserver", provider: "kubernetes" };
  make(context, "v1", "Service", {
    metadata: { name, namespace, labels },
    spec: {
      type: "ClusterIP",
      clusterIP: numberToIPv4(parseCidr(serviceCIDR).base + 1),
      ports: [{ name: "https", port: 443, protocol: "TCP", targetPort: endpoint.port }],
      sessionAffinity: "None",
    },
  });
  make(context, "discovery.k8s.io/v1", "EndpointSlice", {
    metadata: { name, namespace, labels: { "kubernetes.io/service-name": name } },
    addressType: "IPv4",
    endpoints: [{ addresses: [endpoint.address], conditions: { ready: true } }],
    ports: [{ name: "https", port: endpoint.port, protocol: "TCP" }],
  });
  make(context, "v1", "Endpoints", {
    metadata: { name, namespace, labels: { "endpointslice.kubernetes.io/skip-mirror": "true" } },
    subsets: [
      {
        addresses: [{ ip: endpoint.address }],
        ports: [{ name: "https", port: endpoint.port, protocol: "TCP" }],
      },
    ],
  });
}
