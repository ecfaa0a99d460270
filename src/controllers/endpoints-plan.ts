/** The older Endpoints object of one Service. Pure. */
import type {
  EndpointAddress,
  Endpoints as EndpointsWire,
  EndpointSubset,
} from "kubernetes-types/core/v1.js";
import type { KubeObject } from "#kube";
import { addressOf, familiesOf, headlessLabel, hostnameOf, isHeadless, portsOf } from "./endpoints-of.ts";
import {
  annotationsOf,
  byText,
  isDeleting,
  isServing,
  isTerminal,
  labelsOf,
  nameOf,
  namespaceOf,
  type Pod,
  sameJson,
  type Service,
  uidOf,
} from "./objects.ts";
import { triggerAnnotation } from "./trigger-time.ts";

export type Endpoints = EndpointsWire & KubeObject;

/** Most addresses in one Endpoints object; what is beyond is left out and marked so. */
const capacity = 1000;

const managedByLabel = "endpoints.kubernetes.io/managed-by";
const capacityAnnotation = "endpoints.kubernetes.io/over-capacity";

/** The object to write; undefined if the one there is right. */
export function planEndpoints(
  service: Service,
  pods: readonly Pod[],
  current: Endpoints | undefined,
  triggerTime: string | undefined,
): Endpoints | undefined {
  const { subsets, truncated } = truncate(subsetsOf(service, pods));
  const labels = {
    ...labelsOf(service),
    [managedByLabel]: "endpoint-controller",
    ...(isHeadless(service) ? { [headlessLabel]: "" } : {}),
  };
  const same =
    sameJson(current?.subsets ?? [], subsets) && current !== undefined && sameJson(labelsOf(current), labels);
  if (same) return undefined;
  const held = current === undefined ? {} : annotationsOf(current);
  const { [triggerAnnotation]: _time, [capacityAnnotation]: _full, ...annotations } = held;
  const object: KubeObject = {
    ...current,
    metadata: {
      ...(current?.metadata ?? { name: nameOf(service), namespace: namespaceOf(service) }),
      labels,
      annotations: {
        ...annotations,
        ...(triggerTime === undefined ? {} : { [triggerAnnotation]: triggerTime }),
        ...(truncated ? { [capacityAnnotation]: "truncated" } : {}),
      },
    },
    subsets,
  };
  return object as Endpoints;
}

/** Addresses with the same ports together; those that are not ready apart. */
function subsetsOf(service: Service, pods: readonly Pod[]): EndpointSubset[] {
  const publish = service.spec?.publishNotReadyAddresses === true;
  const [family = "IPv4"] = familiesOf(service);
  const groups = new Map<string, { subset: EndpointSubset }>();
  const addressed = pods.map((pod) => ({ pod, ip: addressOf(pod, family) }));
  for (const { pod, ip } of addressed.toSorted((a, b) => byText(a.ip ?? "", b.ip ?? ""))) {
    if (ip === undefined || isTerminal(pod) || (isDeleting(pod) && !publish)) continue;
    const ports = portsOf(service, pod).map(({ name, ...port }) => ({ ...(name ? { name } : {}), ...port }));
    // Without a port there is nothing to reach; a headless Service without ports lists addresses all the same.
    if (ports.length === 0 && (service.spec?.ports ?? []).length > 0) continue;
    const key = JSON.stringify(ports);
    const group = groups.get(key) ?? {
      subset: ports.length === 0 ? {} : { ports: ports as EndpointSubset["ports"] & object },
    };
    groups.set(key, group);
    const list = publish || isServing(pod) ? "addresses" : "notReadyAddresses";
    group.subset[list] = [...(group.subset[list] ?? []), addressEntry(service, pod, ip)];
  }
  return [...groups.entries()].toSorted(([a], [b]) => byText(a, b)).map(([, { subset }]) => subset);
}

function addressEntry(service: Service, pod: Pod, ip: string): EndpointAddress {
  const hostname = hostnameOf(service, pod);
  return {
    ip,
    ...(hostname === undefined ? {} : { hostname }),
    ...(pod.spec?.nodeName ? { nodeName: pod.spec.nodeName } : {}),
    targetRef: { kind: "Pod", namespace: namespaceOf(pod), name: nameOf(pod), uid: uidOf(pod) },
  };
}

function truncate(subsets: readonly EndpointSubset[]): {
  subsets: readonly EndpointSubset[];
  truncated: boolean;
} {
  let room = capacity;
  let truncated = false;
  const cut = (addresses: EndpointAddress[] | undefined): EndpointAddress[] => {
    const kept = (addresses ?? []).slice(0, room);
    truncated ||= kept.length < (addresses ?? []).length;
    room -= kept.length;
    return kept;
  };
  const result = subsets.map(({ addresses, notReadyAddresses, ...rest }) => {
    const [ready, notReady] = [cut(addresses), cut(notReadyAddresses)];
    return {
      ...(ready.length === 0 ? {} : { addresses: ready }),
      ...(notReady.length === 0 ? {} : { notReadyAddresses: notReady }),
      ...rest,
    };
  });
  return { subsets: result, truncated };
}
