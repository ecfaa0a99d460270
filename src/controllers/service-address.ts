/** The service address controller: Services of type LoadBalancer -> status.loadBalancer. */
import { codeOf } from "#lib/errors";
import type { Controller } from "#client";
import { proxyProtocolOf, type AddressPool } from "#model";
import { addressesOf, type AddressProblem } from "./address-demand.ts";
import { planAddresses } from "./address-plan.ts";
import { type Context, createWriter, recorderFor, startLoop } from "./context.ts";
import { kind, sameJson, type Service, subjectOf, uidOf } from "./objects.ts";

const serviceKind = kind("v1", "Service");

/** @param pools what addresses are given out of */
export function startServiceAddresses(context: Context, pools: readonly AddressPool[]): Controller {
  const services = context.informers.of<Service>(serviceKind);
  const writer = createWriter(context.client);
  const recorder = recorderFor(context, "service-controller");
  /** The problems last told of a Service, by UID: an event for each change, not for each look. */
  const told = new Map<string, ReadonlySet<string>>();

  const tell = (service: Service, problems: readonly AddressProblem[]): void => {
    const before = told.get(uidOf(service));
    if (problems.length === 0) told.delete(uidOf(service));
    else told.set(uidOf(service), new Set(problems.map(({ message }) => message)));
    for (const { reason, message } of problems) {
      if (before?.has(message) === true) continue;
      recorder.event(subjectOf(serviceKind, service), "Warning", reason, message);
    }
  };
  const setAddresses = async (service: Service, addresses: readonly string[]): Promise<void> => {
    const entries = addresses.map((ip) => ({ ip, ipMode: modeOf(service) }));
    const status = { loadBalancer: { ingress: entries.length === 0 ? null : entries } };
    await writer.patch(services, service, { status }, "status");
    const [reason, message] =
      addresses.length === 0
        ? ["DeletedLoadBalancer", "Released the load-balancer address"]
        : ["EnsuredLoadBalancer", `Assigned address ${addresses.join(" and ")}`];
    recorder.event(subjectOf(serviceKind, service), "Normal", reason, message);
  };
  // One key for all: a free address is a matter of all Services together.
  const reconcile = async (): Promise<void> => {
    const candidates = services.list().filter((service) => isCandidate(service));
    for (const { service, addresses, problems } of planAddresses(candidates, pools)) {
      tell(service, problems);
      if (sameJson(addresses, addressesOf(service)) && shows(service, modeOf(service))) continue;
      await setAddresses(service, addresses).catch((error: unknown) => {
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
  return service.spec?.type === "LoadBalancer" || addressesOf(service).length > 0;
}
