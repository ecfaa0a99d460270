/** When a cluster counts as ready. */
import type { KubeObject } from "#kube";
import type { Snapshot, SnapshotSource } from "#model";
import type { LoadBalancerPlan } from "#path/load-balancer";
import { ingressAddress } from "./status.ts";

/** What is still missing, in words; empty when the cluster is ready. */
export function missingParts(
  snapshot: Snapshot,
  deployments: readonly KubeObject[],
  facts: { readonly wantedNodes: number; readonly balancer: LoadBalancerPlan },
): string[] {
  const readyNodes = [...snapshot.nodes.values()].filter(({ ready }) => ready).length;
  const missing: string[] = [];
  if (readyNodes < facts.wantedNodes) missing.push(`nodes (${readyNodes}/${facts.wantedNodes})`);
  missing.push(...deployments.flatMap(unavailable));
  const address = ingressAddress(snapshot);
  if (address === undefined) missing.push("the load balancer's address");
  else missing.push(...unbalanced(snapshot, facts.balancer, address));
  return missing;
}

/** Every node with an ingress pod must have passed its health check before the first request comes. */
function unbalanced(snapshot: Snapshot, { ports }: LoadBalancerPlan, address: string): string[] {
  const ingress = [...snapshot.pods.values()].filter(({ component }) => component === "ingress");
  const wanted = new Set(ingress.map(({ node }) => node)).size;
  const healthy = ports
    .filter((port) => port.address === address)
    .map(({ candidates }) => candidates.filter(({ eligible }) => eligible).length);
  const fewest = Math.min(...healthy);
  return healthy.length > 0 && fewest >= wanted
    ? []
    : [`healthy nodes behind the load balancer (${healthy.length > 0 ? fewest : 0}/${wanted})`];
}

function unavailable({ metadata, spec, status }: KubeObject): string[] {
  const wanted = numberIn(spec, "replicas");
  const available = numberIn(status, "availableReplicas");
  const observed = numberIn(status, "observedGeneration");
  if (observed >= (metadata?.generation ?? 0) && available >= wanted) return [];
  return [`deployment ${metadata?.namespace}/${metadata?.name} (${available}/${wanted})`];
}

function numberIn(value: unknown, field: string): number {
  const found: unknown = typeof value === "object" && value !== null ? Reflect.get(value, field) : undefined;
  return typeof found === "number" ? found : 0;
}

/** A cluster that is not ready after so long is shown as it is: an application may wait for something that never comes. */
const patienceMs = 30_000;

/** Waits until nothing is missing any more, looking again after every change; at most 30 seconds. */
export function untilReady(missing: () => readonly string[], source: SnapshotSource): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(deadline);
      clearInterval(look);
      unsubscribe();
      resolve();
    };
    const check = (): void => {
      if (missing().length === 0) end();
    };
    const deadline = setTimeout(end, patienceMs);
    // Health of the load balancer's nodes and rollouts change without a new snapshot.
    const look = setInterval(check, 10);
    const unsubscribe = source.subscribe(check);
    check();
  });
}
