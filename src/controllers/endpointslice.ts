/** The endpointslice controller: Services and their pods -> EndpointSlices, and the older Endpoints. */
import { codeOf, messageOf } from "#lib/errors";
import { type Controller, objectKey } from "#client";
import { type Context, createWriter, recorderFor, startLoop } from "./context.ts";
import { endpointFacts, hasManagedEndpoints } from "./endpoints-of.ts";
import { type Endpoints, planEndpoints } from "./endpoints-plan.ts";
import {
  isDeleting,
  kind,
  labelsOf,
  namespaceOf,
  type Node,
  type Pod,
  sameJson,
  type Service,
  splitKey,
  subjectOf,
  uidOf,
} from "./objects.ts";
import type { EndpointSlice } from "./slice-packing.ts";
import { managedBy, managedByLabel, planSlices } from "./slices-plan.ts";
import { createTopologyEvents } from "./topology-events.ts";
import { wantsAuto } from "./topology-hints.ts";
import { createTriggerTimes } from "./trigger-time.ts";
import { zoneFacts, zoneOf, zoneShares } from "./zone-shares.ts";

/** Kubernetes' controller puts so many endpoints into a slice. */
const maxEndpointsPerSlice = 100;

const serviceKind = kind("v1", "Service");

export function startEndpointSlices(context: Context): Controller {
  const services = context.informers.of<Service>(serviceKind);
  const pods = context.informers.of<Pod>(kind("v1", "Pod"));
  const nodes = context.informers.of<Node>(kind("v1", "Node"));
  const slices = context.informers.of<EndpointSlice>(kind("discovery.k8s.io/v1", "EndpointSlice"));
  const endpoints = context.informers.of<Endpoints>(kind("v1", "Endpoints"));
  const writer = createWriter(context.client);
  const recorder = recorderFor(context, "endpointslice-controller");
  const times = createTriggerTimes();
  const topology = createTopologyEvents(recorder);

  const selectedPods = (service: Service): readonly Pod[] => {
    const wanted = Object.entries(service.spec?.selector ?? {});
    const [name = "", value = ""] = wanted[0] ?? [];
    return pods
      .indexed("label", `${namespaceOf(service)}/${name}=${value}`)
      .filter((pod) => wanted.every(([label, text]) => labelsOf(pod)[label] === text));
  };
  const writeSlices = async (service: Service, selected: readonly Pod[], triggerTime: string | undefined) => {
    const held = slices
      .indexed("owner", uidOf(service))
      .filter((slice) => labelsOf(slice)[managedByLabel] === managedBy);
    const plan = planSlices({
      service,
      pods: selected,
      nodes: (name) => nodes.get(undefined, name),
      zoneShares: () => zoneShares(nodes.list()),
      slices: held,
      triggerTime,
      maxEndpoints: maxEndpointsPerSlice,
    });
    topology.note(service, plan.topology);
    for (const slice of plan.create) await writer.create(slices, slice);
    for (const slice of plan.update) await writer.update(slices, slice);
    for (const slice of plan.remove) await writer.delete(slices, slice);
  };
  const reconcile = async (key: string): Promise<void> => {
    const { namespace, name } = splitKey(key);
    const service = services.get(namespace, name);
    const legacy = endpoints.get(namespace, name);
    if (service === undefined) {
      times.forget(key);
      topology.forget(key);
      // Slices have an owner and are collected; Endpoints have none.
      const ours =
        legacy !== undefined && labelsOf(legacy)["endpoints.kubernetes.io/managed-by"] !== undefined;
      if (ours) await writer.delete(endpoints, legacy);
      return;
    }
    if (!hasManagedEndpoints(service) || isDeleting(service)) return;
    const selected = selectedPods(service);
    const triggerTime = times.next(key, service, selected);
    try {
      await writeSlices(service, selected, triggerTime);
      const wanted = planEndpoints(service, selected, legacy, triggerTime);
      if (wanted !== undefined)
        await (legacy === undefined ? writer.create(endpoints, wanted) : writer.update(endpoints, wanted));
    } catch (error) {
      if (codeOf(error) !== "Conflict") {
        recorder.event(
          subjectOf(serviceKind, service),
          "Warning",
          "FailedToUpdateEndpointSlices",
          messageOf(error),
        );
      }
      throw error;
    }
  };

  const loop = startLoop(context, {
    name: "endpointslice",
    informers: [services, pods, nodes, slices, endpoints],
    reconcile,
    workers: 4,
  });
  const enqueueServicesOf = (pod: Pod): void => {
    for (const [label, value] of Object.entries(labelsOf(pod))) {
      for (const service of services.indexed("selector", `${namespaceOf(pod)}/${label}=${value}`)) {
        loop.enqueue(objectKey(service));
      }
    }
  };
  services.onChange((_type, service) => loop.enqueue(objectKey(service)));
  pods.onChange((type, pod, old) => {
    if (type === "MODIFIED" && old !== undefined && sameJson(endpointFacts(pod), endpointFacts(old))) return;
    enqueueServicesOf(pod);
    if (old !== undefined && !sameJson(labelsOf(old), labelsOf(pod))) enqueueServicesOf(old);
  });
  // Somebody else changed or deleted what is ours: put it right.
  slices.onChange((_type, slice) => {
    const owner = slice.metadata?.ownerReferences?.find(({ controller }) => controller);
    if (owner?.kind === "Service") loop.enqueue(`${namespaceOf(slice)}/${owner.name}`);
  });
  endpoints.onChange((_type, object) => loop.enqueue(objectKey(object)));
  nodes.onChange((type, node, old) => {
    const now = type === "DELETED" ? undefined : node;
    const moved = zoneOf(now) !== zoneOf(old);
    if (!moved && sameJson(zoneFacts(now), zoneFacts(old))) return;
    for (const service of services.list()) {
      if (moved || wantsAuto(service)) loop.enqueue(objectKey(service));
    }
  });
  return loop;
}
