/** ControllerRevisions: the pod templates that a StatefulSet or DaemonSet has had, by number. Pure. */
import type { ControllerRevision as RevisionWire } from "kubernetes-types/apps/v1.js";
import type { PodTemplateSpec } from "kubernetes-types/core/v1.js";
import type { KindInfo, KubeObject } from "#kube";
import {
  byAge,
  controllerReference,
  type DaemonSet,
  labelsOf,
  nameOf,
  namespaceOf,
  sameJson,
  type StatefulSet,
  uidOf,
} from "./objects.ts";
import { templateHash } from "./template-hash.ts";

export type Revision = Omit<RevisionWire, "data"> & KubeObject & { readonly data?: unknown };

/** Label of pods and revisions that says which revision they are of. */
export const revisionLabel = "controller-revision-hash";

export interface RevisionsPlan {
  /** The revision of the present template; `write` says whether it is there already. */
  readonly update: Revision;
  readonly write: "create" | "update" | undefined;
}

/**
 * The revision of a workload's present template: the one of the same template, which becomes the newest (so that going back is
 * seen as a change), else a new one.
 */
export function planRevisions(
  info: KindInfo,
  owner: StatefulSet | DaemonSet,
  revisions: readonly Revision[],
): RevisionsPlan {
  const template = owner.spec?.template;
  const newest = Math.max(0, ...revisions.map(({ revision }) => revision));
  const equal = revisions
    .toSorted((a, b) => b.revision - a.revision)
    .find((one) => sameJson(templateOf(one), template));
  if (equal?.revision === newest) return { update: equal, write: undefined };
  if (equal !== undefined) return { update: { ...equal, revision: newest + 1 }, write: "update" };
  const hash = templateHash(template, owner.status?.collisionCount ?? 0);
  const object: KubeObject = {
    apiVersion: "apps/v1",
    kind: "ControllerRevision",
    metadata: {
      name: `${nameOf(owner)}-${hash}`,
      namespace: namespaceOf(owner),
      labels: { ...template?.metadata?.labels, [revisionLabel]: hash },
      ownerReferences: [controllerReference(info, owner)],
    },
    data: { spec: { template: { ...template, $patch: "replace" } } },
    revision: newest + 1,
  };
  return { update: object as Revision, write: "create" };
}

/** The pod template that a revision keeps. */
export function templateOf({ data }: Revision): PodTemplateSpec | undefined {
  const spec = (data as { spec?: { template?: PodTemplateSpec & { $patch?: string } } } | undefined)?.spec;
  const { $patch: _directive, ...template } = spec?.template ?? {};
  return spec?.template === undefined ? undefined : template;
}

export function hashOf(revision: Revision): string {
  return labelsOf(revision)[revisionLabel] ?? "";
}

/** Revisions beyond the limit that no pod and no status needs any more, oldest first. */
export function surplusRevisions(
  owner: StatefulSet | DaemonSet,
  revisions: readonly Revision[],
  isUsed: (revision: Revision) => boolean,
): Revision[] {
  const own = revisions.filter((one) =>
    one.metadata?.ownerReferences?.some(({ uid }) => uid === uidOf(owner)),
  );
  const unused = own.filter((one) => !isUsed(one)).toSorted((a, b) => a.revision - b.revision || byAge(a, b));
  return unused.slice(0, Math.max(0, unused.length - (owner.spec?.revisionHistoryLimit ?? 10)));
}
