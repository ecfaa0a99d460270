/**
 * Which Ingress path answers a request: the semantics of `networking.k8s.io/v1` Ingress, for the engine, the trace and
 * every check. Hosts: exact, then one-label wildcard, then none; a host that matched is not left again when none of its
 * paths match. Paths: longest first, then Exact before Prefix, then the older Ingress.
 */
import type { IngressHost, IngressPath, IngressRoutes, TlsCertificate } from "./types.ts";

export interface Evaluated {
  readonly what: string;
  readonly matched: boolean;
  readonly why: string;
}

export interface RequestMatch {
  /** Undefined when neither a rule nor a default backend takes the request: 404. */
  readonly path?: IngressPath;
  /** Every candidate in the order of precedence, with the reason why it won or lost. */
  readonly evaluated: readonly Evaluated[];
}

/** At most so many hosts that lost are named one by one. */
const namedHosts = 20;

/** The path that takes a request. `host` as in the Host header, `path` as sent; the query does not count. */
export function match(routes: IngressRoutes, host: string, path: string): IngressPath | undefined {
  const found = findHost(routes, normalizeHost(host));
  return (found && firstPath(found, pathOnly(path))) ?? routes.defaultBackend;
}

/** The same answer as `match`, with everything that was considered. */
export function matchRequest(routes: IngressRoutes, host: string, path: string): RequestMatch {
  const name = normalizeHost(host);
  const requested = pathOnly(path);
  const found = findHost(routes, name);
  const winner = found && firstPath(found, requested);
  const chosen = winner ?? routes.defaultBackend;
  const evaluated = [
    ...hostsEvaluated(routes, name, found),
    ...(found ? pathsEvaluated(found, requested, winner) : []),
    ...defaultEvaluated(routes, winner !== undefined),
  ];
  return { ...(chosen === undefined ? {} : { path: chosen }), evaluated };
}

/** The path that takes a request, and all paths that other rules give for the same host. */
export function hostRules(
  routes: IngressRoutes,
  host: string,
  path: string,
): { readonly matched?: IngressPath; readonly others: readonly IngressPath[] } {
  const matched = match(routes, host, path);
  const paths = findHost(routes, normalizeHost(host))?.paths ?? [];
  return {
    ...(matched === undefined ? {} : { matched }),
    others: paths.filter((other) => other !== matched),
  };
}

/** Lower case, without port and without the dot at the end (RFC 9110 section 7.2, RFC 3986 section 3.2.2). */
export function normalizeHost(host: string): string {
  const name = host.replace(/:\d*$/, "").toLowerCase();
  return name.endsWith(".") ? name.slice(0, -1) : name;
}

/**
 * Whether a path rule takes a request path. Exact compares all of it; Prefix compares element by element, and a slash
 * at the end of either does not count. ImplementationSpecific means Prefix here. Case matters.
 */
function pathMatches(rule: Pick<IngressPath, "path" | "pathType">, requested: string): boolean {
  if (rule.pathType === "Exact") return rule.path === requested;
  const base = rule.path.endsWith("/") ? rule.path.slice(0, -1) : rule.path;
  return requested.startsWith(base) && (requested.length === base.length || requested[base.length] === "/");
}

/** Precedence of two paths of one host. Zero leaves them in the order of their Ingresses, the oldest first. */
export function byPrecedence(a: IngressPath, b: IngressPath): number {
  return b.path.length - a.path.length || Number(b.pathType === "Exact") - Number(a.pathType === "Exact");
}

/**
 * The certificate for a name in the client's hello: exact host, then one-label wildcard, then one given for no host.
 * One that can be used goes before one with a problem. Undefined: the default certificate serves.
 */
export function certificateFor(
  routes: IngressRoutes,
  serverName: string | undefined,
): TlsCertificate | undefined {
  const name = normalizeHost(serverName ?? "");
  for (const host of hostCandidates(name)) {
    const known = routes.certificates.filter((certificate) => certificate.host === host);
    const found = known.find((certificate) => certificate.problem === undefined) ?? known[0];
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The keys under which rules for a host may stand, in order of precedence. */
function hostCandidates(name: string): readonly string[] {
  const dot = name.indexOf(".");
  return name === "" ? [""] : dot < 1 ? [name, ""] : [name, `*${name.slice(dot)}`, ""];
}

function findHost(routes: IngressRoutes, name: string): IngressHost | undefined {
  for (const candidate of hostCandidates(name)) {
    const found = routes.hosts.get(candidate);
    if (found !== undefined) return found;
  }
  return undefined;
}

function firstPath(host: IngressHost, requested: string): IngressPath | undefined {
  return host.paths.find((path) => pathMatches(path, requested));
}

function pathOnly(path: string): string {
  const end = path.search(/[?#]/);
  return end < 0 ? path : path.slice(0, end);
}

function hostsEvaluated(routes: IngressRoutes, name: string, found: IngressHost | undefined): Evaluated[] {
  const order = hostCandidates(name);
  const known = order.filter((host) => routes.hosts.has(host));
  const others = [...routes.hosts.keys()].filter((host) => !order.includes(host));
  const shown = others.slice(0, namedHosts).map((host) => ({
    what: hostLabel(host),
    matched: false,
    why: whyNotHost(host, name),
  }));
  const rest = others.length - shown.length;
  return [
    ...known.map((host) => ({
      what: hostLabel(host),
      matched: host === found?.host,
      why: host === found?.host ? whyHost(host, name) : `${hostLabel(found?.host ?? "")} is more specific`,
    })),
    ...shown,
    ...(rest > 0 ? [{ what: `${rest} more hosts`, matched: false, why: `none of them is ${name}` }] : []),
  ];
}

function hostLabel(host: string): string {
  return host === "" ? "any host" : `host ${host}`;
}

function whyHost(host: string, name: string): string {
  if (host === "") return `no rule names ${name === "" ? "an empty host" : name}`;
  return host === name ? "equal" : `* stands for the label ${name.slice(0, name.indexOf("."))}`;
}

function whyNotHost(host: string, name: string): string {
  const suffix = host.slice(1);
  if (!host.startsWith("*.")) return `is not ${name}`;
  if (`.${name}` === suffix) return "* stands for one label, and there is none";
  return name.endsWith(suffix) ? "* stands for one label only" : `${name} does not end in ${suffix}`;
}

function pathsEvaluated(host: IngressHost, requested: string, winner: IngressPath | undefined): Evaluated[] {
  return host.paths.map((path) => ({
    what: pathLabel(path),
    matched: path === winner,
    why: whyPath(path, requested, winner),
  }));
}

/** `Prefix /api (default/api-ingress spec.rules[0].http.paths[0])` */
function pathLabel(path: IngressPath): string {
  return `${path.pathType} ${path.path} (${path.ingress.namespace}/${path.ingress.name} ${path.field})`;
}

function whyPath(path: IngressPath, requested: string, winner: IngressPath | undefined): string {
  if (!pathMatches(path, requested)) return whyNotPath(path, requested);
  if (path === winner) return path.pathType === "Exact" ? "equal" : "every element is equal";
  if (path.field === "spec.defaultBackend") return "a rule matched";
  if (winner === undefined || winner.path.length > path.path.length) return "matches, but a longer path won";
  if (winner.pathType !== path.pathType) return "matches, but Exact goes before Prefix";
  return `matches, but ${winner.ingress.namespace}/${winner.ingress.name} came first`;
}

function whyNotPath(path: IngressPath, requested: string): string {
  if (path.pathType === "Exact") {
    const slash = path.path === `${requested}/` || `${path.path}/` === requested;
    return slash ? "differs by the slash at the end" : `is not ${requested}`;
  }
  return requested.startsWith(path.path)
    ? "whole elements are compared, and one only begins alike"
    : `is no prefix of ${requested}`;
}

function defaultEvaluated(routes: IngressRoutes, matched: boolean): Evaluated[] {
  const path = routes.defaultBackend;
  if (path === undefined) return [];
  const what = `default backend of ${path.ingress.namespace}/${path.ingress.name}`;
  return [{ what, matched: !matched, why: matched ? "a rule matched" : "no rule matched" }];
}
