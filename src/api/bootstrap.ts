import { kindOf } from "#kube";
import type { KindInfo, KubeObject } from "#kube";
import { messageOf } from "#lib/errors";
import { parseRange } from "./address-range.ts";
import type { Context } from "./context.ts";
import { keepIpAddresses } from "./ip-addresses.ts";
import { create } from "./lifecycle.ts";
import { keepServiceCidrs } from "./service-cidrs.ts";
import { DEFAULT_SERVICE_CIDR } from "./service-ranges.ts";
import { storageOf } from "./storage.ts";

const NAMESPACES = ["default", "kube-system", "kube-public", "kube-node-lease"];

interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** What exists in every cluster from its first moment. */
export function bootstrap(
  context: Context,
  { serviceCIDRs, endpoint }: { serviceCIDRs: readonly string[]; endpoint: Endpoint | undefined },
): void {
  const showAddresses = prepareRanges(context, serviceCIDRs);
  for (const name of NAMESPACES) make(context, { apiVersion: "v1", kind: "Namespace", metadata: { name } });
  if (endpoint === undefined) return;
  for (const object of kubernetesService(serviceCIDRs[0] ?? "", endpoint)) {
    make(context, object);
    keep(context, object);
  }
  showAddresses();
}

/** The default ServiceCIDR, and what follows from ServiceCIDRs and Services: before the first Service takes an address. */
function prepareRanges(context: Context, cidrs: readonly string[]): () => void {
  const ranges: KubeObject = {
    apiVersion: "networking.k8s.io/v1",
    kind: "ServiceCIDR",
    metadata: { name: DEFAULT_SERVICE_CIDR },
    spec: { cidrs },
  };
  const kind = kindIn(context, ranges);
  if (kind === undefined) throw new Error("the registry has no ServiceCIDR");
  make(context, ranges);
  keep(context, ranges);
  keepServiceCidrs(context, kind);
  return keepIpAddresses(context);
}

function make(context: Context, object: KubeObject): void {
  const kind = kindIn(context, object);
  if (kind === undefined) return;
  const namespace = kind.namespaced ? object.metadata?.namespace : undefined;
  create(context, { kind, namespace, name: undefined, subresource: undefined, rest: "" }, object, false);
}

function kindIn(context: Context, { apiVersion = "", kind = "" }: KubeObject): KindInfo | undefined {
  const known = kindOf(apiVersion, kind);
  return context.kinds.find((item) => item === known);
}

/** Makes the object again whenever somebody has deleted it: `kubectl delete services --all` must not cut pods off. */
function keep(context: Context, object: KubeObject): void {
  const kind = kindIn(context, object);
  if (kind === undefined) return;
  const again = (): void => {
    if (context.closing.aborted) return;
    try {
      make(context, object);
    } catch (error) {
      context.log.warn("not made again", { what: `${kind.plural}/kubernetes`, reason: messageOf(error) });
    }
  };
  const { store } = context;
  const { namespace, name } = object.metadata ?? {};
  const subscription = store.watch(storageOf(kind).resource, namespace, store.revision(), (change) => {
    // Listeners of the store must not write to it.
    if (change.type === "DELETED" && change.object.metadata?.name === name) setImmediate(again);
  });
  context.closing.addEventListener("abort", () => subscription.close());
}

/** The Service by which pods reach this API: the first address of the range, with endpoints kept by the server. */
function kubernetesService(serviceCIDR: string, { address, port }: Endpoint): readonly KubeObject[] {
  const metadata = { name: "kubernetes", namespace: "default" };
  const ports = [{ name: "https", port, protocol: "TCP" }];
  return [
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { ...metadata, labels: { component: "apiserver", provider: "kubernetes" } },
      spec: {
        type: "ClusterIP",
        clusterIP: parseRange(serviceCIDR).addressAt(0),
        ports: [{ name: "https", port: 443, protocol: "TCP", targetPort: port }],
        sessionAffinity: "None",
      },
    },
    {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { ...metadata, labels: { "kubernetes.io/service-name": metadata.name } },
      addressType: "IPv4",
      endpoints: [{ addresses: [address], conditions: { ready: true } }],
      ports,
    },
    {
      apiVersion: "v1",
      kind: "Endpoints",
      metadata: { ...metadata, labels: { "endpointslice.kubernetes.io/skip-mirror": "true" } },
      subsets: [{ addresses: [{ ip: address }], ports }],
    },
  ];
}
