/** What should be known about an Ingress of ours: annotations of other controllers, regular expressions, conflicts. */
import { annotationFindings } from "./external-dns.ts";
import type { KubeObject } from "#kube";
import { unknownAnnotation } from "./findings-service.ts";
import { nameOf, namespaceOf } from "./objects.ts";
import type { Finding, IngressHost, IngressPath } from "./types.ts";
import { asIngress } from "./views.ts";

/** Annotation prefixes by which other controllers change routing. */
const controllers: readonly (readonly [prefix: string, product: string])[] = [
  ["nginx.ingress.kubernetes.io/", "ingress-nginx"],
  ["nginx.org/", "the NGINX Ingress Controller"],
  ["nginx.com/", "the NGINX Ingress Controller"],
  ["custom.nginx.org/", "the NGINX Ingress Controller"],
  ["appprotect.f5.com/", "the NGINX Ingress Controller"],
  ["haproxy-ingress.github.io/", "HAProxy Ingress"],
  ["haproxy.org/", "the HAProxy controller"],
  ["ingress.kubernetes.io/", "HAProxy Ingress or an old controller"],
  ["traefik.ingress.kubernetes.io/", "Traefik"],
  ["projectcontour.io/", "Contour"],
  ["contour.heptio.com/", "Contour"],
  ["konghq.com/", "Kong"],
  ["configuration.konghq.com", "Kong"],
  ["caddy.ingress.kubernetes.io/", "the Caddy controller"],
  ["alb.ingress.kubernetes.io/", "the AWS load balancer controller"],
  ["appgw.ingress.kubernetes.io/", "Azure Application Gateway"],
  ["ingress.gcp.kubernetes.io/", "Google Cloud"],
  ["networking.gke.io/", "Google Cloud"],
  ["kubernetes.io/ingress.global-static-ip-name", "Google Cloud"],
  ["kubernetes.io/ingress.allow-http", "Google Cloud"],
  ["ingress.cilium.io/", "Cilium"],
  ["higress.io/", "Higress"],
  ["k8s.apisix.apache.org/", "APISIX"],
  ["inroad.dev/", "another version of Inroad"],
];

export function ingressFindings(object: KubeObject): readonly Finding[] {
  const ref = { kind: "Ingress", namespace: namespaceOf(object), name: nameOf(object) };
  const annotations = Object.keys(object.metadata?.annotations ?? {})
    .sort()
    .flatMap((key) => {
      const known = controllers.find(([prefix]) => key.startsWith(prefix));
      return known === undefined ? [] : [{ ...unknownAnnotation(key, known[1]), object: ref }];
    });
  const patterns = (asIngress(object).spec?.rules ?? []).flatMap((rule, i) =>
    (rule.http?.paths ?? []).flatMap((path, j) => {
      const isPattern =
        path.pathType === "ImplementationSpecific" && /[\\^$*+?()[\]{}|]/.test(path.path ?? "");
      return isPattern ? [regexPath(ref, `spec.rules[${i}].http.paths[${j}].path`, path.path ?? "")] : [];
    }),
  );
  return [...annotations, ...patterns, ...annotationFindings(object, ref)];
}

function regexPath(object: Finding["object"], field: string, path: string): Finding {
  return {
    code: "RegexPath",
    severity: "warning",
    object,
    field,
    message: `path ${path} looks like a regular expression; ImplementationSpecific means Prefix here, so it is compared letter by letter`,
    mend: "write the path as Prefix or Exact",
    affectsRouting: true,
  };
}

/** Paths that can never be reached, because an older Ingress has the same one for the same host. */
export function conflictFindings(hosts: ReadonlyMap<string, IngressHost>): readonly Finding[] {
  return [...hosts.values()].flatMap(({ host, paths }) => {
    const owners = new Map<string, IngressPath>();
    return paths.flatMap((path) => {
      const key = `${path.pathType === "Exact" ? "Exact" : "Prefix"} ${path.path}`;
      const owner = owners.get(key);
      if (owner === undefined) owners.set(key, path);
      return owner === undefined || path.field === "spec.defaultBackend" ? [] : [conflict(host, path, owner)];
    });
  });
}

function conflict(host: string, path: IngressPath, owner: IngressPath): Finding {
  const where = `${owner.ingress.namespace}/${owner.ingress.name} ${owner.field}`;
  return {
    code: "PathConflict",
    severity: "warning",
    object: { kind: "Ingress", ...path.ingress },
    field: path.field,
    message: `host ${host === "" ? "*" : host} and path ${path.path} are taken by ${where}, which came first; this path is never used`,
    mend: "remove one of the two paths",
    affectsRouting: false,
  };
}
