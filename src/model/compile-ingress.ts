/** Ingresses of the class that our controller owns, compiled into routes. */
import type { KubeObject } from "#kube";
import { compileBackend } from "./compile-backends.ts";
import { byAge, nameOf, namespaceOf } from "./objects.ts";
import { byPrecedence, normalizeHost } from "./routes.ts";
import type { Finding, IngressHost, IngressPath, ServiceModel } from "./types.ts";
import { asIngress, asIngressClass } from "./views.ts";

const classAnnotation = "kubernetes.io/ingress.class";
const defaultClassAnnotation = "ingressclass.kubernetes.io/is-default-class";

export interface ClassInfo {
  /** Names of the IngressClasses that our controller owns. */
  readonly ours: ReadonlySet<string>;
  readonly known: ReadonlySet<string>;
  /** Whether an Ingress that names no class is ours. */
  readonly defaultIsOurs: boolean;
}

/** Which classes are ours. Of several default classes the newest counts, then the first by name. */
export function compileClasses(objects: readonly KubeObject[], controllerName: string): ClassInfo {
  const ours = objects.filter((object) => asIngressClass(object).spec?.controller === controllerName);
  const defaults = objects
    .filter((object) => object.metadata?.annotations?.[defaultClassAnnotation] === "true")
    .sort((a, b) => newestFirst(a, b));
  const names = new Set(ours.map(nameOf));
  const first = defaults[0];
  return {
    ours: names,
    known: new Set(objects.map(nameOf)),
    defaultIsOurs: first !== undefined && names.has(nameOf(first)),
  };
}

function newestFirst(a: KubeObject, b: KubeObject): number {
  const [timeA, timeB] = [a.metadata?.creationTimestamp ?? "", b.metadata?.creationTimestamp ?? ""];
  return timeA === timeB ? byAge(a, b) : timeA < timeB ? 1 : -1;
}

/** The class that an Ingress names in its field or, the older way, in its annotation. */
function classOf(object: KubeObject): string | undefined {
  return asIngress(object).spec?.ingressClassName ?? object.metadata?.annotations?.[classAnnotation];
}

/** Whether our controller owns an Ingress; a finding tells why not. */
export function ownership(object: KubeObject, classes: ClassInfo): { ours: boolean; finding?: Finding } {
  const name = classOf(object);
  if (name === undefined ? classes.defaultIsOurs : classes.ours.has(name)) return { ours: true };
  const nobody = name === undefined || !classes.known.has(name);
  return {
    ours: false,
    finding: {
      code: nobody ? "IngressClassMissing" : "IngressOfOtherClass",
      severity: nobody ? "warning" : "info",
      object: { kind: "Ingress", namespace: namespaceOf(object), name: nameOf(object) },
      field: "spec.ingressClassName",
      message:
        name === undefined
          ? "the Ingress names no class and there is no default class of ours, so no traffic is routed by it"
          : `IngressClass ${name} ${nobody ? "does not exist" : "belongs to another controller"}, so no traffic is routed by it`,
      mend: `set spec.ingressClassName to ${[...classes.ours][0] ?? "an existing class"}`,
      affectsRouting: false,
    },
  };
}

export interface CompiledIngress {
  /** Host and path of every rule, in the order of the object. A host without a path still claims the host. */
  readonly rules: readonly { readonly host: string; readonly paths: readonly IngressPath[] }[];
  readonly defaultBackend?: IngressPath;
  readonly findings: readonly Finding[];
}

/** One Ingress; its backends looked up among `services`. */
export function compileIngress(
  object: KubeObject,
  services: ReadonlyMap<string, ServiceModel>,
): CompiledIngress {
  const { spec } = asIngress(object);
  const ingress = { namespace: namespaceOf(object), name: nameOf(object) };
  const findings: Finding[] = [];
  const toPath = (
    field: string,
    path: string,
    pathType: string,
    backend: Parameters<typeof compileBackend>[0],
  ): IngressPath => {
    const context = { ingress: { kind: "Ingress", ...ingress }, field: backendField(field), services };
    const compiled = compileBackend(backend, context);
    findings.push(...compiled.findings);
    return { ingress, field, pathType: pathTypeOf(pathType), path, backend: compiled.backend };
  };
  const defaultBackend =
    spec?.defaultBackend === undefined
      ? undefined
      : toPath("spec.defaultBackend", "/", "Prefix", spec.defaultBackend);
  const rules = (spec?.rules ?? []).map((rule, i) => ({
    host: normalizeHost(rule.host ?? ""),
    paths: (rule.http?.paths ?? []).map((path, j) =>
      toPath(`spec.rules[${i}].http.paths[${j}]`, path.path || "/", path.pathType, path.backend),
    ),
  }));
  return { rules, ...(defaultBackend === undefined ? {} : { defaultBackend }), findings };
}

function backendField(field: string): string {
  return field === "spec.defaultBackend" ? field : `${field}.backend`;
}

function pathTypeOf(text: string): IngressPath["pathType"] {
  return text === "Exact" || text === "Prefix" ? text : "ImplementationSpecific";
}

/**
 * The hosts of all Ingresses (the oldest first) with their paths in order of precedence. After all rules of a host comes
 * the default backend of the oldest Ingress that has rules for it and a default backend: what the paths of a host do not
 * match goes there, not to the default backend of somebody else.
 */
export function mergeHosts(ingresses: readonly CompiledIngress[]): Map<string, IngressHost> {
  const paths = new Map<string, IngressPath[]>();
  const fallbacks = new Map<string, IngressPath>();
  for (const ingress of ingresses) {
    for (const rule of ingress.rules) {
      const known = paths.get(rule.host);
      if (known === undefined) paths.set(rule.host, [...rule.paths]);
      else known.push(...rule.paths);
      const fallback = ingress.defaultBackend;
      // The oldest Ingress's default backend takes everything, so no other can follow it.
      if (fallback !== undefined && !fallbacks.has(rule.host)) fallbacks.set(rule.host, fallback);
    }
  }
  return new Map(
    [...paths.keys()].sort().map((host) => [
      host,
      {
        host,
        paths: [...(paths.get(host) ?? []).sort(byPrecedence), ...[fallbacks.get(host) ?? []].flat()],
      },
    ]),
  );
}
