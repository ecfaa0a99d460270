/** Endpoints that people write for a Service without selector -> EndpointSlices. KEP-0752, "Mirroring". */
import type { EndpointAddress, EndpointSubset } from "kubernetes-types/core/v1.js";
import type { KubeObject } from "#kube";
import { isIPv4 } from "#lib/ip";
import { type Controller, objectKey } from "#client";
import { type Context, createWriter, startLoop } from "./context.ts";
import type { Endpoint, Family } from "./endpoints-of.ts";
import type { Endpoints } from "./endpoints-plan.ts";
import {
  annotationsOf,
  controllerReference,
  isDeleting,
  kind,
  labelsOf,
  nameOf,
  namespaceOf,
  type Service,
  splitKey,
  uidOf,
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
import { managedByLabel, serviceLabel } from "./slices-plan.ts";

const mirroredBy = "endpointslicemirroring-controller.k8s.io";
const endpointsKind = kind("v1", "Endpoints");

/** Endpoints of one Endpoints object that are mirrored; the API allows more. */
const maxEndpoints = 1000;

/** Pure: whether the Endpoints of a Service are people's own, to be mirrored. */
export function isMirrored(endpoints: Endpoints, service: Service | undefined): boolean {
  return (
    service !== undefined &&
    service.spec?.selector === undefined &&
    !isDeleting(endpoints) &&
    labelsOf(endpoints)["endpointslice.kubernetes.io/skip-mirror"] !== "true" &&
    annotationsOf(endpoints)["control-plane.alpha.kubernetes.io/leader"] === undefined
  );
}

/** Pure: the slices that mirror an Endpoints object. */
export function planMirror(endpoints: Endpoints, existing: readonly EndpointSlice[]): SlicesPlan {
  const plans = (["IPv4", "IPv6"] as const).map((family) => {
    const held = existing.filter(({ addressType }) => addressType === family);
    const contents = packGroups(groupsOf(endpoints, family), held, maxEndpoints);
    return planContents(contents, held, (content) => render(endpoints, family, content));
  });
  return {
    create: plans.flatMap(({ create }) => create),
    update: plans.flatMap(({ update }) => update),
    remove: plans.flatMap(({ remove }) => remove),
  };
}

function groupsOf(endpoints: Endpoints, family: Family): Map<string, Group> {
  const groups = new Map<string, Group>();
  for (const subset of endpoints.subsets ?? []) {
    const ports = portsOf(subset);
    const group = groups.get(portsKey(ports)) ?? { ports, endpoints: [] };
    const ofFamily = ({ ip }: EndpointAddress): boolean => isIPv4(ip) === (family === "IPv4");
    const ready = (subset.addresses ?? []).filter(ofFamily).map((address) => endpointFrom(address, true));
    const notReady = (subset.notReadyAddresses ?? [])
      .filter(ofFamily)
      .map((address) => endpointFrom(address, false));
    group.endpoints.push(...[...ready, ...notReady].slice(0, maxEndpoints - group.endpoints.length));
    if (group.endpoints.length > 0) groups.set(portsKey(ports), group);
  }
  return groups;
}

function portsOf({ ports = [] }: EndpointSubset) {
  return ports.map(({ name = "", protocol = "TCP", port, appProtocol }) => ({
    name,
    protocol,
    port,
    ...(appProtocol === undefined ? {} : { appProtocol }),
  }));
}

function endpointFrom({ ip, hostname, nodeName, targetRef }: EndpointAddress, ready: boolean): Endpoint {
  return {
    addresses: [ip],
    conditions: { ready },
    ...(hostname ? { hostname } : {}),
    ...(nodeName ? { nodeName } : {}),
    ...(targetRef === undefined ? {} : { targetRef }),
  };
}

function render(
  endpoints: Endpoints,
  family: Family,
  { slice, ports, endpoints: list }: Content,
): EndpointSlice {
  const object: KubeObject = {
    ...slice,
    metadata: {
      ...(slice?.metadata ?? {
        generateName: `${nameOf(endpoints)}-`,
        namespace: namespaceOf(endpoints),
        ownerReferences: [controllerReference(endpointsKind, endpoints)],
      }),
      labels: { ...labelsOf(endpoints), [serviceLabel]: nameOf(endpoints), [managedByLabel]: mirroredBy },
    },
    addressType: family,
    endpoints: list,
    ports,
  };
  return object as EndpointSlice;
}

export function startEndpointsMirror(context: Context): Controller {
  const services = context.informers.of<Service>(kind("v1", "Service"));
  const endpoints = context.informers.of<Endpoints>(endpointsKind);
  const slices = context.informers.of<EndpointSlice>(kind("discovery.k8s.io/v1", "EndpointSlice"));
  const writer = createWriter(context.client);

  const reconcile = async (key: string): Promise<void> => {
    const { namespace, name } = splitKey(key);
    const object = endpoints.get(namespace, name);
    if (object === undefined) return;
    const held = slices
      .indexed("owner", uidOf(object))
      .filter((one) => labelsOf(one)[managedByLabel] === mirroredBy);
    const mirrored = isMirrored(object, services.get(namespace, name));
    const plan = mirrored ? planMirror(object, held) : { create: [], update: [], remove: held };
    for (const slice of plan.create) await writer.create(slices, slice);
    for (const slice of plan.update) await writer.update(slices, slice);
    for (const slice of plan.remove) await writer.delete(slices, slice);
  };
  const loop = startLoop(context, {
    name: "endpoints-mirror",
    informers: [services, endpoints, slices],
    reconcile,
  });
  endpoints.onChange((_type, object) => loop.enqueue(objectKey(object)));
  services.onChange((_type, service) => loop.enqueue(objectKey(service)));
  slices.onChange((_type, slice) => {
    if (labelsOf(slice)[managedByLabel] !== mirroredBy) return;
    loop.enqueue(`${namespaceOf(slice)}/${labelsOf(slice)[serviceLabel] ?? ""}`);
  });
  return loop;
}
