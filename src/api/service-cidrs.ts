import type { KindInfo, KubeObject } from "#kube";
import type { Context } from "./context.ts";
import { listAt, recordAt, textAt } from "./fields.ts";
import { store as write, timestamp } from "./lifecycle.ts";
import { parseRange } from "./address-range.ts";
import { IP_ADDRESSES, SERVICE_CIDRS } from "./service-ranges.ts";

/** Holds a range as long as addresses of it are in use. */
const FINALIZER = "networking.k8s.io/service-cidr-finalizer";

/**
 * Keeps the state of ServiceCIDRs, as Kubernetes' service-cidr controller does (KEP-1880): a range that may be used is Ready and
 * carries a finalizer; one that is being deleted goes when each of its addresses in use lies in another range too.
 */
export function keepServiceCidrs(context: Context, kind: KindInfo): void {
  const { store } = context;
  const pending = new Set<string>();
  const drain = (): void => {
    const names = [...pending];
    pending.clear();
    for (const name of names) {
      const object = store.get(SERVICE_CIDRS, "", name);
      if (object !== undefined && !context.closing.aborted) settle(context, kind, object);
    }
  };
  const later = (name: string): void => {
    if (pending.size === 0) queueMicrotask(drain);
    pending.add(name);
  };
  const ending = (): readonly KubeObject[] => store.list(SERVICE_CIDRS).filter((one) => isEnding(one));
  for (const object of store.list(SERVICE_CIDRS)) settle(context, kind, object);
  const subscriptions = [
    store.watch(SERVICE_CIDRS, undefined, store.revision(), ({ object }) => {
      later(object.metadata?.name ?? "");
      for (const { metadata } of ending()) later(metadata?.name ?? "");
    }),
    store.watch(IP_ADDRESSES, undefined, store.revision(), ({ type }) => {
      if (type === "DELETED") for (const { metadata } of ending()) later(metadata?.name ?? "");
    }),
  ];
  context.closing.addEventListener("abort", () => {
    for (const subscription of subscriptions) subscription.close();
  });
}

const isEnding = (object: KubeObject): boolean => object.metadata?.deletionTimestamp !== undefined;

function settle(context: Context, kind: KindInfo, object: KubeObject): void {
  const now = timestamp(context.now());
  const finalizers = object.metadata?.finalizers ?? [];
  const held = isEnding(object) && isNeeded(context, object);
  if (isEnding(object) && !held) {
    const { finalizers: _given, ...metadata } = object.metadata ?? {};
    const others = finalizers.filter((name) => name !== FINALIZER);
    const freed = others.length === 0 ? metadata : { ...metadata, finalizers: others };
    if (others.length < finalizers.length)
      write(context, kind, { ...object, metadata: freed }, object, false);
    return;
  }
  const missing = !isEnding(object) && !finalizers.includes(FINALIZER);
  const metadata = missing ? { ...object.metadata, finalizers: [...finalizers, FINALIZER] } : object.metadata;
  const settled = {
    ...object,
    ...(metadata === undefined ? {} : { metadata }),
    status: statusOf(object, held, now),
  };
  write(context, kind, settled, object, false);
}

function statusOf(object: KubeObject, held: boolean, now: string): Record<string, unknown> {
  const conditions = listAt(object, "status", "conditions");
  const before = conditions.find((one) => textAt(one, "type") === "Ready");
  const status = held ? "False" : "True";
  if (textAt(before, "status") === status) return recordAt(object, "status");
  const ready = {
    type: "Ready",
    status,
    lastTransitionTime: now,
    reason: held ? "Terminating" : "",
    message: held
      ? "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR"
      : "Kubernetes Service CIDR is ready",
  };
  return {
    ...recordAt(object, "status"),
    conditions: [...conditions.filter((one) => one !== before), ready],
  };
}

/** Whether an address in use lies in this range and in no other one. */
function isNeeded({ store }: Context, object: KubeObject): boolean {
  const rangesOf = (one: KubeObject) => listAt(one, "spec", "cidrs").map((cidr) => parseRange(String(cidr)));
  const own = rangesOf(object);
  const others = store
    .list(SERVICE_CIDRS)
    .filter((one) => !isEnding(one))
    .flatMap(rangesOf);
  return store.list(IP_ADDRESSES).some(({ metadata }) => {
    const address = metadata?.name ?? "";
    return own.some((range) => range.contains(address)) && !others.some((range) => range.contains(address));
  });
}
