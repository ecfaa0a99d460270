import type { KubeObject } from "./types.ts";

const componentLabel = "inroad.dev/component";

/** Only who may write to the system's own namespaces decides what runs as a part of Inroad, with its credentials. */
const systemNamespaces: ReadonlySet<string> = new Set(["kube-system", "inroad-system"]);

/** Which of Inroad's own components a pod is (`ingress`, `dns`); undefined for every pod of somebody else. */
export function componentOf({ metadata }: KubeObject): string | undefined {
  const own = systemNamespaces.has(metadata?.namespace ?? "");
  return own ? metadata?.labels?.[componentLabel] : undefined;
}
