import { withProgrammedGate } from "#kube/server";
import type { KindInfo, KubeObject } from "#kube";
import type { Context } from "./context.ts";
import { textAt, valueAt } from "./fields.ts";
import { forbidden, notFound } from "./status.ts";

/** What depends on other objects of the cluster: the admission plugins that every cluster runs. */

const NAMESPACES = { group: "", kind: "Namespace", plural: "namespaces" };

/** Refuses new objects in a namespace that is absent (404) or on its way out (403). */
export function checkNamespace(
  context: Context,
  kind: KindInfo,
  namespace: string | undefined,
  name: string,
): void {
  if (namespace === undefined || !kind.namespaced) return;
  const found = context.store.get("namespaces", "", namespace);
  if (found === undefined) throw notFound(NAMESPACES, namespace);
  if (found.metadata?.deletionTimestamp === undefined) return;
  const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
  throw forbidden(kind, name, why, [
    {
      reason: "NamespaceTerminating",
      message: `namespace ${namespace} is being terminated`,
      field: "metadata.namespace",
    },
  ]);
}

/** The object with what the server adds by looking at the cluster. `old` is given for updates. */
export function admit(context: Context, kind: KindInfo, object: KubeObject, old?: KubeObject): KubeObject {
  if (kind.schema === "core.v1.Namespace") return withNameLabel(object);
  if (kind.schema === "core.v1.Pod" && old === undefined) return withProgrammedGate(object);
  if (kind.schema === "networking.v1.Ingress" && old === undefined) return withDefaultClass(context, object);
  return object;
}

function withNameLabel(namespace: KubeObject): KubeObject {
  const { metadata } = namespace;
  const labels = { ...metadata?.labels, "kubernetes.io/metadata.name": metadata?.name ?? "" };
  return { ...namespace, metadata: { ...metadata, labels } };
}

const DEFAULT_CLASS = "ingressclass.kubernetes.io/is-default-class";

/** The default IngressClass; of several the newest one, then the first by name (DefaultIngressClass admission). */
function withDefaultClass(context: Context, ingress: KubeObject): KubeObject {
  if (valueAt(ingress, "spec", "ingressClassName") !== undefined) return ingress;
  if (ingress.metadata?.annotations?.["kubernetes.io/ingress.class"] !== undefined) return ingress;
  const classes = context.store
    .list("ingressclasses.networking.k8s.io")
    .filter((item) => item.metadata?.annotations?.[DEFAULT_CLASS] === "true")
    .toSorted((a, b) => compare(created(b), created(a)) || compare(nameOf(a), nameOf(b)));
  const [first] = classes;
  if (first === undefined) return ingress;
  const spec = valueAt(ingress, "spec");
  return { ...ingress, spec: { ...Object(spec), ingressClassName: nameOf(first) } };
}

const created = (object: KubeObject): string => object.metadata?.creationTimestamp ?? "";
const nameOf = (object: KubeObject): string => textAt(object, "metadata", "name");
const compare = (a: string, b: string): number => (a < b ? -1 : Number(a > b));
