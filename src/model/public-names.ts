/**
 * What the world outside may ask for: hosts of Ingresses and names that LoadBalancer Services announce, as external-dns
 * would publish them.
 */
import type { KubeObject } from "#kube";
import { addressOrder, canonicalAddress, isIPv4 } from "#lib/ip";
import { isTarget, readAnnotations, validName } from "./external-dns.ts";
import { perObject } from "./memo.ts";
import { byText } from "./objects.ts";
import { normalizeHost } from "./routes.ts";
import type { PublicName, Snapshot } from "./types.ts";
import { asIngress, asService } from "./views.ts";

/**
 * Names (lower case, perhaps with a wildcard) and what they stand for. Hosts of Ingresses of any class are taken, also while
 * they have no address yet. Objects that cannot be read are left out: `compile` reports them.
 */
export function compilePublicNames(
  ingresses: readonly KubeObject[],
  services: readonly KubeObject[],
): ReadonlyMap<string, PublicName> {
  const claims = new Map<string, Claim[]>();
  for (const { hosts, ...claim } of [...ingresses.flatMap(ingressClaim), ...services.flatMap(serviceClaim)]) {
    for (const host of new Set(hosts.map(normalizeHost).filter(validName))) {
      claims.set(host, [...(claims.get(host) ?? []), claim]);
    }
  }
  return new Map([...claims.keys()].sort(byText).map((name) => [name, merge(claims.get(name) ?? [])]));
}

/** What a host (any case, with or without a dot at its end) stands for: its own entry, or that of a wildcard for one label. */
export function publicName(snapshot: Pick<Snapshot, "publicNames">, host: string): PublicName | undefined {
  const name = normalizeHost(host);
  const dot = Math.max(name.indexOf("."), 0);
  return snapshot.publicNames?.get(name) ?? snapshot.publicNames?.get(`*${name.slice(dot)}`);
}

/** As many aliases as are followed before they count as a circle. */
const MAX_ALIASES = 10;

/**
 * The names that a host is an alias of, one after the other, and the entry of the last one: undefined when that is no public
 * name of this cluster, or when the aliases lead in a circle.
 */
export function followPublicName(
  snapshot: Pick<Snapshot, "publicNames">,
  host: string,
): { readonly aliases: readonly PublicAlias[]; readonly end: PublicName | undefined } {
  const aliases: PublicAlias[] = [];
  let name = normalizeHost(host);
  while (aliases.length < MAX_ALIASES) {
    const entry = publicName(snapshot, name);
    if (entry?.alias === undefined) return { aliases, end: entry };
    aliases.push({ name, target: entry.alias, ...(entry.ttl === undefined ? {} : { ttl: entry.ttl }) });
    name = entry.alias;
  }
  return { aliases, end: undefined };
}

/** The addresses of a name that requests go to: those of IPv4 where there are any, as the vantage point outside prefers them. */
export function preferredAddresses({ addresses }: PublicName): readonly string[] {
  const ipv4 = addresses.filter(isIPv4);
  return ipv4.length > 0 ? ipv4 : addresses;
}

export interface PublicAlias {
  readonly name: string;
  readonly target: string;
  /** Seconds, if an annotation says so. */
  readonly ttl?: number;
}

/** What one object wants a name to stand for: addresses, and other names. */
interface Claim {
  readonly targets: readonly string[];
  readonly ttl?: number;
}

interface NamedClaim extends Claim {
  readonly hosts: readonly string[];
}

/** Nothing for an object that cannot be read; kept for as long as the object is the same. */
function readably(read: (object: KubeObject) => NamedClaim | []): (object: KubeObject) => NamedClaim | [] {
  return perObject((object) => {
    try {
      return read(object);
    } catch {
      return [];
    }
  });
}

/** All addresses of all claims; only where there is none, one alias: a name with an alias has no other record (RFC 1034 3.6.2). */
function merge(claims: readonly Claim[]): PublicName {
  const targets = claims.flatMap((claim) => claim.targets);
  const addresses = [...new Set(targets.flatMap((target) => canonicalAddress(target) ?? []))];
  const [alias] = targets
    .map(normalizeHost)
    .filter((target) => canonicalAddress(target) === undefined)
    .sort(byText);
  const ttls = claims.flatMap(({ ttl }) => ttl ?? []);
  return {
    addresses: addresses.sort((a, b) => byText(addressOrder(a), addressOrder(b))),
    ...(addresses.length > 0 || alias === undefined ? {} : { alias }),
    ...(ttls.length === 0 ? {} : { ttl: Math.min(...ttls) }),
  };
}

const ingressClaim = readably((object) => {
  const { spec, status } = asIngress(object);
  const settings = readAnnotations(object);
  const rules = (spec?.rules ?? []).map((rule) => rule.host ?? "");
  const tls = (spec?.tls ?? []).flatMap((entry) => entry.hosts ?? []);
  // Whether external-dns would publish them or not, these hosts are the cluster's own.
  const defined =
    settings.foreign || settings.hostnameSource === "annotation-only" ? rules : [...rules, ...tls];
  const announced =
    settings.foreign || settings.hostnameSource === "defined-hosts-only" ? [] : settings.hostnames;
  return {
    hosts: [...defined, ...announced],
    ...targetsOf(settings, status?.loadBalancer?.ingress),
  };
});

const serviceClaim = readably((object) => {
  const { spec, status } = asService(object);
  const settings = readAnnotations(object);
  if (spec?.type !== "LoadBalancer" || settings.foreign) return [];
  return { hosts: settings.hostnames, ...targetsOf(settings, status?.loadBalancer?.ingress) };
});

function targetsOf(
  { targets, ttl, foreign }: ReturnType<typeof readAnnotations>,
  entries: readonly { readonly ip?: string; readonly hostname?: string }[] | undefined,
): Claim {
  const known = (entries ?? []).flatMap(({ ip, hostname }) => [ip ?? "", hostname ?? ""]).filter(isTarget);
  return {
    targets: foreign || targets.length === 0 ? known : targets,
    ...(ttl === undefined || foreign ? {} : { ttl }),
  };
}
