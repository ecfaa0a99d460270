/** The service address controller: Services of type LoadBalancer -> status.loadBalancer. */
import { codeOf } from "#lib/errors";
import type { Controller } from "#client";
import { proxyProtocolOf } from "#model";
import { addressOf, planAddresses } from "./address-plan.ts";
import { type Context, createWriter, recorderFor, startLoop } from "./context.ts";
import { kind, type Service, subjectOf, uidOf } from "./objects.ts";

const serviceKind = kind("v1", "Service");

/** @param pool IPv4 network whose addresses are given out, `203.0.113.128/25` */
export function startServiceAddresses(context: Context, pool: string): Controller {
  const services = context.informers.of<Service>(serviceKind);
  const writer = createWriter(context.client);
  const recorder = recorderFor(context, "service-controller");
  /** The problem last told of a Service, by UID: an event for each change, not for each look. */
  const told = new Map<string, string>();

  const setAddress = async (service: Service, address: string | undefined): Promise<void> => {
    const loadBalancer = {
      ingress: address === undefined ? null : [{ ip: address, ipMode: modeOf(service) }],
    };
    await writer.patch(services, service, { status: { loadBalancer } }, "status");
    const message =
      address === undefined ? "Released the load-balancer address" : `Assigned address ${address}`;
    const reason = address === undefined ? "DeletedLoadBalancer" : "EnsuredLoadBalancer";
    recorder.event(subjectOf(serviceKind, service), "Normal", reason, message);
  };
  // One key for all: a free address is a matter of all Services together.
  const reconcile = async (): Promise<void> => {
    const candidates = services.list().filter((service) => isCandidate(service));
    for (const { service, address, problem } of planAddresses(candidates, pool)) {
      if (problem === undefined) told.delete(uidOf(service));
      else if (told.get(uidOf(service)) !== problem.message) {
        told.set(uidOf(service), problem.message);
        recorder.event(subjectOf(serviceKind, service), "Warning", problem.reason, problem.message);
      }
      if (address === addressOf(service) && (address === undefined || shows(service, modeOf(service))))
        continue;
      await setAddress(service, address).catch((error: unknown) => {
        if (codeOf(error) !== "NotFound") throw error;
      });
    }
  };

  const loop = startLoop(context, { name: "service-address", informers: [services], reconcile });
  services.onChange((type, service, old) => {
    if (type === "DELETED") told.delete(uidOf(service));
    if (isCandidate(service) || (old !== undefined && isCandidate(old))) loop.enqueue("all");
  });
  return loop;
}

/** KEP-1860: connections that end at the load balancer must not be cut short by the nodes. */
function modeOf(service: Service): "VIP" | "Proxy" {
  return proxyProtocolOf(service) === undefined ? "VIP" : "Proxy";
}

function shows(service: Service, mode: string): boolean {
  return (service.status?.loadBalancer?.ingress ?? []).every(({ ipMode = "VIP" }) => ipMode === mode);
}

function isCandidate(service: Service): boolean {
  return service.spec?.type === "LoadBalancer" || addressOf(service) !== undefined;
}
