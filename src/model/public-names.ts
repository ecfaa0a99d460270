/** What the world outside may ask for: hosts of Ingresses and names that Services announce. */
import type { KubeObject } from "#kube";
import { isIPv4, isIPv6 } from "#lib/ip";
import { byText } from "./objects.ts";
import { normalizeHost } from "./routes.ts";
import { asIngress, asService } from "./views.ts";

/** external-dns's annotation: since v0.22, and before. */
const hostnameAnnotations = [
  "external-dns.kubernetes.io/hostname",
  "external-dns.alpha.kubernetes.io/hostname",
];

/**
 * Names (lower case, perhaps with a wildcard) and the addresses they stand for, sorted. Hosts of Ingresses of any class
 * are taken, also while they have no address yet. Objects that cannot be read are left out: `compile` reports them.
 */
export function compilePublicNames(
  ingresses: readonly KubeObject[],
  services: readonly KubeObject[],
): ReadonlyMap<string, readonly string[]> {
  const names = new Map<string, Set<string>>();
  for (const { hosts, addresses } of [
    ...ingresses.map(readably(ingressNames)),
    ...services.map(readably(serviceNames)),
  ]) {
    for (const host of hosts.map(normalizeHost)) {
      if (host !== "") names.set(host, new Set([...(names.get(host) ?? []), ...addresses]));
    }
  }
  return new Map(
    [...names.keys()].sort(byText).map((name) => [name, [...(names.get(name) ?? [])].sort(byText)]),
  );
}

interface Names {
  readonly hosts: readonly string[];
  readonly addresses: readonly string[];
}

function readably(read: (object: KubeObject) => Names): (object: KubeObject) => Names {
  return (object) => {
    try {
      return read(object);
    } catch {
      return { hosts: [], addresses: [] };
    }
  };
}

function ingressNames(object: KubeObject): Names {
  const { spec, status } = asIngress(object);
  return {
    hosts: (spec?.rules ?? []).map((rule) => rule.host ?? ""),
    addresses: addressesOf(status?.loadBalancer?.ingress),
  };
}

function serviceNames(object: KubeObject): Names {
  const { spec, status } = asService(object);
  const annotations = object.metadata?.annotations ?? {};
  const announced = hostnameAnnotations.flatMap((key) => annotations[key]?.split(",") ?? []);
  return {
    hosts: spec?.type === "LoadBalancer" ? announced.map((name) => name.trim()) : [],
    addresses: addressesOf(status?.loadBalancer?.ingress),
  };
}

function addressesOf(entries: readonly { readonly ip?: string }[] | undefined): readonly string[] {
  return (entries ?? []).flatMap(({ ip }) => (ip !== undefined && (isIPv4(ip) || isIPv6(ip)) ? [ip] : []));
}
