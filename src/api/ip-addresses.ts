import { randomUUID } from "node:crypto";
import type { KubeObject } from "#kube";
import { familyOf } from "#lib/ip";
import type { Context } from "./context.ts";
import { timestamp } from "./lifecycle.ts";
import { addressesOf, ownerOf } from "./service-allocation.ts";
import { IP_ADDRESSES, isOfService, parentOf } from "./service-ranges.ts";

/**
 * Keeps one IPAddress object for each address of each Service, as the allocator of Kubernetes 1.34 does (KEP-1880). Here they
 * show what is taken; what counts is the Services themselves, so an object that somebody deletes or adds is put right.
 * @returns does at once what is due after the present turn
 */
export function keepIpAddresses(context: Context): () => void {
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
    for (const address of [...(held.get(owner) ?? [])])
      if (!keep.has(address)) store.remove(IP_ADDRESSES, "", address);
  };
  const claim = (owner: string): void => {
    for (const address of wanted(owner)) {
      if (store.get(IP_ADDRESSES, "", address) === undefined) show(context, address, owner);
    }
  };
  const note = (object: KubeObject, gone: boolean): void => {
    if (!isOfService(object)) return;
    const owner = parentOf(object);
    const names = held.get(owner) ?? new Set();
    if (gone) names.delete(object.metadata?.name ?? "");
    else names.add(object.metadata?.name ?? "");
    if (names.size === 0) held.delete(owner);
    else held.set(owner, names);
    later(owner);
  };
  for (const object of store.list(IP_ADDRESSES)) note(object, false);
  const subscriptions = [
    store.watch("services", undefined, store.revision(), ({ object }) => later(ownerOf(object))),
    // What an IPAddress belongs to never changes.
    store.watch(IP_ADDRESSES, undefined, store.revision(), ({ type, object }) =>
      note(object, type === "DELETED"),
    ),
  ];
  context.closing.addEventListener("abort", () => {
    for (const subscription of subscriptions) subscription.close();
  });
  return drain;
}

function show(context: Context, address: string, owner: string): void {
  const [namespace = "", name = ""] = owner.split("/");
  context.store.create(IP_ADDRESSES, {
    apiVersion: "networking.k8s.io/v1",
    kind: "IPAddress",
    metadata: {
      name: address,
      uid: randomUUID(),
      creationTimestamp: timestamp(context.now()),
      labels: {
        "ipaddress.kubernetes.io/ip-family": familyOf(address),
        "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
      },
    },
    spec: { parentRef: { resource: "services", namespace, name } },
  });
}
