/** The ingress status controller: the address under which our Ingresses are reached -> their status. */
import type { Ingress as IngressWire } from "kubernetes-types/networking/v1.js";
import type { KubeObject } from "#kube";
import { codeOf } from "#lib/errors";
import { externalAddresses, findingsAbout, type Snapshot, type SnapshotSource } from "#model";
import type { Controller } from "#client";
import { type Context, createWriter, startLoop } from "./context.ts";
import { isDeleting, kind, nameOf, namespaceOf, sameJson } from "./objects.ts";

export type Ingress = IngressWire & KubeObject;

/** Findings that say: this Ingress is not ours to serve. */
const notOurs = new Set(["IngressClassMissing", "IngressOfOtherClass", "InvalidObject"]);

/** An Ingress whose status changes, and the addresses that it is to show. */
export interface IngressAddresses {
  readonly ingress: Ingress;
  readonly addresses: readonly string[];
}

/**
 * Pure: Ingresses whose status is to change. Ours show `addresses`; one that is ours no longer stops showing
 * them; what other controllers wrote stays.
 */
export function planIngressStatus(
  ingresses: readonly Ingress[],
  snapshot: Snapshot,
  addresses: readonly string[],
): IngressAddresses[] {
  return ingresses.flatMap((ingress) => {
    if (isDeleting(ingress)) return [];
    const shown = (ingress.status?.loadBalancer?.ingress ?? []).map(({ ip = "" }) => ip);
    const about = { kind: "Ingress", namespace: namespaceOf(ingress), name: nameOf(ingress) };
    const ours = !findingsAbout(snapshot, about).some(({ code }) => notOurs.has(code));
    const stale = !ours && shown.length > 0 && shown.every((ip) => addresses.includes(ip));
    const wanted = ours ? addresses : stale ? [] : shown;
    return sameJson(shown, wanted) ? [] : [{ ingress, addresses: wanted }];
  });
}

/** @param service `namespace/name` of the Service through which the ingress controller is reached */
export function startIngressStatus(context: Context, source: SnapshotSource, service: string): Controller {
  const ingresses = context.informers.of<Ingress>(kind("networking.k8s.io/v1", "Ingress"));
  const writer = createWriter(context.client);

  const reconcile = async (): Promise<void> => {
    const snapshot = source.current();
    const own = snapshot.services.get(service);
    const addresses = own === undefined ? [] : externalAddresses(own);
    for (const plan of planIngressStatus(ingresses.list(), snapshot, addresses)) {
      const list = plan.addresses.map((ip) => ({ ip }));
      const status = { loadBalancer: { ingress: list.length === 0 ? null : list } };
      await writer.patch(ingresses, plan.ingress, { status }, "status").catch((error: unknown) => {
        if (codeOf(error) !== "NotFound") throw error;
      });
    }
  };
  const loop = startLoop(context, { name: "ingress-status", informers: [ingresses], reconcile });
  // Ingresses and classes reach us through the snapshot, so that what it says of them is up to date.
  source.subscribe(() => loop.enqueue("all"));
  loop.enqueue("all");
  return loop;
}
