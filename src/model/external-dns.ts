/**
 * external-dns' annotations (https://kubernetes-sigs.github.io/external-dns, "Annotations"), under the prefix it has since
 * v0.22 and the one before; where an object has both, the newer one counts.
 */
import type { KubeObject } from "#kube";
import { canonicalAddress } from "#lib/ip";
import { normalizeHost } from "./routes.ts";
import type { Finding } from "./types.ts";

const prefixes = ["external-dns.kubernetes.io/", "external-dns.alpha.kubernetes.io/"];
const known = ["hostname", "target", "ttl", "controller", "ingress-hostname-source"];
/** The only value of `controller` that external-dns acts on. */
const OUR_CONTROLLER = "dns-controller";
const hostnameSources = ["annotation-only", "defined-hosts-only"];
/** RFC 2181 section 8. */
const MAX_TTL = 2 ** 31 - 1;

export interface ExternalDns {
  readonly hostnames: readonly string[];
  /** Addresses and names to publish instead of those of the load balancer. */
  readonly targets: readonly string[];
  /** Seconds. */
  readonly ttl?: number;
  readonly hostnameSource?: string;
  /** Another controller publishes this object. */
  readonly foreign: boolean;
}

/** What the annotations say; values that cannot be used are left out, and `annotationFindings` reports them. */
export function readAnnotations(object: KubeObject): ExternalDns {
  const ttl = parseTtl(valueOf(object, "ttl"));
  const source = valueOf(object, "ingress-hostname-source");
  return {
    hostnames: listOf(object, "hostname").filter((name) => validName(normalizeHost(name))),
    targets: listOf(object, "target").filter(isTarget),
    ...(ttl === undefined ? {} : { ttl }),
    ...(source === undefined ? {} : { hostnameSource: source.trim().toLowerCase() }),
    foreign: (valueOf(object, "controller") ?? OUR_CONTROLLER) !== OUR_CONTROLLER,
  };
}

/** Values that are left out, and annotations of external-dns that nothing here acts on. */
export function annotationFindings(object: KubeObject, ref: Finding["object"]): readonly Finding[] {
  const finding = (key: string, message: string, mend: string): Finding => ({
    code: "ExternalDnsAnnotation",
    severity: "warning",
    object: ref,
    field: `metadata.annotations[${key}]`,
    message,
    mend,
    affectsRouting: false,
  });
  return Object.entries(object.metadata?.annotations ?? {}).flatMap(([key, value]) => {
    const prefix = prefixes.find((each) => key.startsWith(each));
    if (prefix === undefined) return [];
    const name = key.slice(prefix.length);
    if (!known.includes(name)) {
      return [
        finding(
          key,
          `annotation ${key} is not implemented: the public DNS does not act on it`,
          "remove it if it does not matter here",
        ),
      ];
    }
    return problemsOf(name, value).map(({ what, mend }) => finding(key, `annotation ${key}: ${what}`, mend));
  });
}

function problemsOf(
  name: string,
  value: string,
): readonly { readonly what: string; readonly mend: string }[] {
  const items = value.split(",").map((item) => item.trim());
  const bad = (wanted: (item: string) => boolean): readonly string[] => items.filter((item) => !wanted(item));
  switch (name) {
    case "hostname":
      return bad((item) => validName(normalizeHost(item))).map((item) => ({
        what: `"${item}" is no host name`,
        mend: "write host names, separated by commas",
      }));
    case "target":
      return bad(isTarget).map((item) => ({
        what: `"${item}" is neither an address nor a host name`,
        mend: "write addresses or host names, separated by commas",
      }));
    case "ttl":
      return parseTtl(value) === undefined
        ? [
            {
              what: `"${value}" is no TTL`,
              mend: "write seconds (60) or a duration (1m30s), from 1 s to 68 years",
            },
          ]
        : [];
    case "ingress-hostname-source":
      return hostnameSources.includes(value.trim().toLowerCase())
        ? []
        : [
            {
              what: `"${value}" is unknown, so all hosts are published`,
              mend: `write ${hostnameSources.join(" or ")}`,
            },
          ];
    default:
      return [];
  }
}

function valueOf(object: KubeObject, name: string): string | undefined {
  const annotations = object.metadata?.annotations ?? {};
  const key = prefixes.map((prefix) => `${prefix}${name}`).find((each) => annotations[each] !== undefined);
  return key === undefined ? undefined : annotations[key];
}

function listOf(object: KubeObject, name: string): string[] {
  const value = valueOf(object, name) ?? "";
  return value
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
}

/** An address or a host name. */
export function isTarget(text: string): boolean {
  return canonicalAddress(text) !== undefined || validName(normalizeHost(text));
}

/** Whether a name (lower case, no dot at its end) can stand in the DNS; its first label may be `*` (RFC 1123 section 2.1). */
export function validName(name: string): boolean {
  return (
    name.length <= 253 &&
    /^(?:\*\.)?(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/.test(
      name,
    ) &&
    canonicalAddress(name) === undefined
  );
}

const unitSeconds: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1 };

/** `60` or a Go duration such as `1m30s`; undefined for anything else. */
function parseTtl(text: string | undefined): number | undefined {
  if (text === undefined || text.length > 32) return undefined;
  const seconds = /^\d+$/.test(text) ? Number(text) : durationSeconds(text);
  return seconds !== undefined && seconds >= 1 && seconds <= MAX_TTL ? seconds : undefined;
}

function durationSeconds(text: string): number | undefined {
  if (!/^(?:\d+(?:\.\d+)?[hms])+$/.test(text)) return undefined;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)([hms])/g)];
  return Math.floor(
    parts.reduce((sum, [, digits, unit]) => sum + Number(digits) * (unitSeconds[unit ?? ""] ?? 0), 0),
  );
}
