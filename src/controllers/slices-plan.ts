/** The EndpointSlices of one Service: those that exist -> those that must. Pure; packing rules of KEP-0752. */
import type { KubeObject } from "#kube";
import {
  type Endpoint,
  endpointOf,
  familiesOf,
  type Family,
  headlessLabel,
  isHeadless,
  portsOf,
} from "./endpoints-of.ts";
import {
  annotationsOf,
  byAge,
  controllerReference,
  isDeleting,
  kind,
  labelsOf,
  nameOf,
  namespaceOf,
  type Node,
  type Pod,
  type Service,
} from "./objects.ts";
import {
  type Content,
  type EndpointSlice,
  type Group,
  packGroups,
  planContents,
  portsKey,
  type SlicesPlan,
} from "./slice-packing.ts";
import { type HintPlan, planHints } from "./topology-hints.ts";
import { triggerAnnotation } from "./trigger-time.ts";
import type { ZoneShares } from "./zone-shares.ts";

export interface SlicesInput {
  readonly service: Service;
  /** The pods that it selects. */
  readonly pods: readonly Pod[];
  readonly nodes: (name: string) => Node | undefined;
  /** Part of each zone in the CPU of the nodes, or why it cannot be told; asked only where it matters. */
  readonly zoneShares: () => ZoneShares | string;
  /** The slices that this controller keeps for it. */
  readonly slices: readonly EndpointSlice[];
  readonly triggerTime: string | undefined;
  /** Endpoints per slice, 1 to 1000. */
  readonly maxEndpoints: number;
}

export const serviceLabel = "kubernetes.io/service-name";
export const managedByLabel = "endpointslice.kubernetes.io/managed-by";
export const managedBy = "endpointslice-controller.k8s.io";

export interface ServiceSlicesPlan extends SlicesPlan {
  /** Of each family of a Service with topology aware routing: that it works, or why not. */
  readonly topology: readonly { readonly family: Family; readonly works: boolean; readonly why: string }[];
}

export function planSlices(input: SlicesInput): ServiceSlicesPlan {
  const families = familiesOf(input.service);
  const plans = families.map((family) => planFamily(input, family));
  const foreign = input.slices.filter(
    ({ addressType }) => !families.some((family) => family === addressType),
  );
  return {
    create: plans.flatMap(({ create }) => create),
    update: plans.flatMap(({ update }) => update),
    remove: [...foreign, ...plans.flatMap(({ remove }) => remove)].filter((slice) => !isDeleting(slice)),
    topology: plans.flatMap(({ topology }) => topology),
  };
}

function planFamily(input: SlicesInput, family: Family): ServiceSlicesPlan {
  const { service, maxEndpoints } = input;
  const existing = input.slices.filter((slice) => slice.addressType === family && !isDeleting(slice));
  const groups = groupPods(input, family);
  const endpoints = [...groups.values()].flatMap((group) => group.endpoints);
  const packed = packGroups(groups, existing, maxEndpoints);
  // A Service without endpoints keeps one empty slice: consumers tell "none" from "not known yet".
  const contents = packed.length === 0 ? [emptyContent(existing)] : packed;
  const { hintsOf, auto } = planHints(service, endpoints, input.zoneShares);
  const plan = planContents(contents, existing, (content) => render(input, family, content, hintsOf));
  return { ...plan, topology: auto === undefined ? [] : [{ family, ...auto }] };
}

function emptyContent(existing: readonly EndpointSlice[]): Content {
  const empty = existing.find(({ endpoints, ports }) => !endpoints?.length && !ports?.length);
  return { ports: [], endpoints: [], ...(empty === undefined ? {} : { slice: empty }) };
}

function groupPods({ service, pods, nodes }: SlicesInput, family: Family): Map<string, Group> {
  const groups = new Map<string, Group>();
  for (const pod of pods.toSorted(byAge)) {
    const endpoint = endpointOf(service, pod, family, nodes(pod.spec?.nodeName ?? ""));
    if (endpoint === undefined) continue;
    const ports = portsOf(service, pod);
    const key = portsKey(ports);
    const group = groups.get(key) ?? { ports, endpoints: [] };
    group.endpoints.push(endpoint);
    groups.set(key, group);
  }
  return groups;
}

function render(
  { service, triggerTime }: SlicesInput,
  family: Family,
  { slice, ports, endpoints }: Content,
  hintsOf: HintPlan["hintsOf"],
): EndpointSlice {
  const { [triggerAnnotation]: _old, ...annotations } = slice === undefined ? {} : annotationsOf(slice);
  const object: KubeObject = {
    ...slice,
    metadata: {
      ...(slice?.metadata ?? {
        generateName: `${nameOf(service)}-`,
        namespace: namespaceOf(service),
        ownerReferences: [controllerReference(kind("v1", "Service"), service)],
      }),
      labels: labelsFor(service),
      annotations:
        triggerTime === undefined ? annotations : { ...annotations, [triggerAnnotation]: triggerTime },
    },
    addressType: family,
    endpoints: endpoints.map((endpoint) => withHints(endpoint, hintsOf(endpoint))),
    ports,
  };
  return object as EndpointSlice;
}

function withHints(endpoint: Endpoint, hints: Endpoint["hints"]): Endpoint {
  return hints === undefined ? endpoint : { ...endpoint, hints };
}

/** The Service's labels, except those that have a meaning of their own on slices. */
function labelsFor(service: Service): Record<string, string> {
  const {
    [serviceLabel]: _service,
    [managedByLabel]: _by,
    [headlessLabel]: _headless,
    ...own
  } = labelsOf(service);
  return {
    ...own,
    [serviceLabel]: nameOf(service),
    [managedByLabel]: managedBy,
    ...(isHeadless(service) ? { [headlessLabel]: "" } : {}),
  };
}
