import type { KindInfo, KubeObject } from "#kube";
import { messageOf } from "#lib/errors";
import { familyOf } from "#lib/ip";
import type { Context } from "./context.ts";
import { create } from "./lifecycle.ts";
import { addressesOf, ownerOf } from "./service-allocation.ts";
import { IP_ADDRESSES, isOfService, parentOf } from "./service-ranges.ts";

/**
 * Keeps one IPAddress object for each address of each Service, as the allocator of Kubernetes 1.34 does (KEP-1880). Here they
 * show what is taken; what counts is the Services themselves, so an object that somebody deletes or adds is put right.
 * @returns does at once what is due after the present turn
 */
export function keepIpAddresses(context: Context, kind: KindInfo): () => void {
  const { store } = context;
  const held = new Map<string, Set<string>>();
  const pending = new Set<string>();
  const drain = (): void => {
    const owners = [...pending];
    pending.clear();
    // Those that give an address back come before those that take it.
    for (const owner of owners) release(owner);
    for (const owner of owners) claim(owner);
  };
  // Listeners of the store must not write to it; a client that is told of its Service finds the addresses there already.
  const later = (owner: string): void => {
    if (pending.size === 0) queueMicrotask(drain);
    pending.add(owner);
  };
  const wanted = (owner: string): readonly string[] => {
    const [namespace = "", name = ""] = owner.split("/");
    const service = store.get("services", namespace, name);
    return service === undefined ? [] : addressesOf(service);
  };
  const release = (owner: string): void => {
    const keep = new Set(wanted(owner));
    for (const address of held.get(owner) ?? [])
      if (!keep.has(address)) store.remove(IP_ADDRESSES, "", address);
  };
  const claim = (owner: string): void => {
    for (const address of wanted(owner)) {
      if (store.get(IP_ADDRESSES, "", address) === undefined) make(context, kind, address, owner);
    }
  };
  const subscriptions = [
    store.watch("services", undefined, store.revision(), ({ object }) => later(ownerOf(object))),
    store.watch(IP_ADDRESSES, undefined, store.revision(), ({ type, object, previous }) => {
      const name = object.metadata?.name ?? "";
      held.get(parentOf(previous ?? object))?.delete(name);
      if (!isOfService(object)) return;
      const owner = parentOf(object);
      if (type !== "DELETED") held.set(owner, (held.get(owner) ?? new Set()).add(name));
      later(owner);
    }),
  ];
  context.closing.addEventListener("abort", () => {
    for (const subscription of subscriptions) subscription.close();
  });
  return drain;
}

function make(context: Context, kind: KindInfo, address: string, owner: string): void {
  const [namespace = "", name = ""] = owner.split("/");
  const object: KubeObject = {
    apiVersion: "networking.k8s.io/v1",
    kind: "IPAddress",
    metadata: {
      name: address,
      labels: {
        "ipaddress.kubernetes.io/ip-family": familyOf(address),
        "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
      },
    },
    spec: { parentRef: { group: "", resource: "services", namespace, name } },
  };
  try {
    create(
      context,
      { kind, namespace: undefined, name: undefined, subresource: undefined, rest: "" },
      object,
      false,
    );
  } catch (error) {
    context.log.warn("an IPAddress was not made", { address, owner, reason: messageOf(error) });
  }
}
