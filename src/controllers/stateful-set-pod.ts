/** The pods of a StatefulSet, which keep their names, and the claims that follow them. Pure. */
import type { PodTemplateSpec, Volume } from "kubernetes-types/core/v1.js";
import type { KubeObject } from "#kube";
import { revisionLabel } from "./controller-revisions.ts";
import { controllerReference, kind, nameOf, namespaceOf, type StatefulSet } from "./objects.ts";

const setKind = kind("apps/v1", "StatefulSet");

/** Pod `db-0` with its own name as hostname, below the name of the governing Service, and its own volumes. */
export function statefulPod(
  set: StatefulSet,
  template: PodTemplateSpec,
  ordinal: number,
  revision: string,
): KubeObject {
  const name = `${nameOf(set)}-${ordinal}`;
  const { metadata = {}, spec } = template;
  const serviceName = set.spec?.serviceName;
  const own = (set.spec?.volumeClaimTemplates ?? []).map((claim): Volume => {
    const volume = claim.metadata?.name ?? "";
    return { name: volume, persistentVolumeClaim: { claimName: `${volume}-${name}` } };
  });
  const others = (spec?.volumes ?? []).filter((volume) => own.every((one) => one.name !== volume.name));
  const volumes = [...others, ...own];
  return {
    metadata: {
      name,
      namespace: namespaceOf(set),
      labels: {
        ...metadata.labels,
        "apps.kubernetes.io/pod-index": String(ordinal),
        "statefulset.kubernetes.io/pod-name": name,
        [revisionLabel]: revision,
      },
      ...(metadata.annotations === undefined ? {} : { annotations: metadata.annotations }),
      ownerReferences: [controllerReference(setKind, set)],
    },
    spec: {
      ...spec,
      hostname: name,
      ...(serviceName ? { subdomain: serviceName } : {}),
      ...(volumes.length === 0 ? {} : { volumes }),
    },
  };
}

/** The claims of one pod, as they are to be made where they are missing. */
export function claimsOf(set: StatefulSet, ordinal: number): KubeObject[] {
  const labels = set.spec?.selector?.matchLabels ?? {};
  return (set.spec?.volumeClaimTemplates ?? []).map((claim) => ({
    metadata: {
      name: `${claim.metadata?.name ?? ""}-${nameOf(set)}-${ordinal}`,
      namespace: namespaceOf(set),
      labels: { ...claim.metadata?.labels, ...labels },
    },
    spec: claim.spec,
  }));
}
