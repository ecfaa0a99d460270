/** Which objects belong to an owner, by controller reference and selector. */
import type { LabelSelector } from "kubernetes-types/meta/v1.js";
import { type KindInfo, type KubeObject, labelSelectorMatches } from "#kube";
import type { Informer } from "#client";
import type { Writer } from "./context.ts";
import { controllerOf, controllerReference, isDeleting, labelsOf, namespaceOf, uidOf } from "./objects.ts";

export interface Claims<T> {
  /** Controlled by the owner and selected by it. */
  readonly owned: readonly T[];
  /** Selected, and nobody controls them: the owner takes them over. */
  readonly adopt: readonly T[];
  /** Controlled, but no longer selected: the owner lets them go. */
  readonly release: readonly T[];
}

/** Sorts candidates; an owner that is being deleted takes nothing over. */
export function decideClaims<T extends KubeObject>(
  owner: KubeObject,
  selector: LabelSelector | undefined,
  candidates: readonly T[],
): Claims<T> {
  const owned: T[] = [];
  const adopt: T[] = [];
  const release: T[] = [];
  for (const object of candidates) {
    const controller = controllerOf(object);
    const selected = selector !== undefined && labelSelectorMatches(selector, labelsOf(object));
    if (controller?.uid === uidOf(owner)) (selected ? owned : release).push(object);
    else if (controller === undefined && selected && !isDeleting(object) && !isDeleting(owner))
      adopt.push(object);
  }
  return { owned, adopt, release: isDeleting(owner) ? [] : release };
}

/**
 * Carries out what `decideClaims` says of the objects that the owner controls or could control; returns those it has.
 * @param mayAdopt of those that nobody controls only these are taken over
 */
export async function claim<T extends KubeObject>(
  writer: Writer,
  informer: Informer<T>,
  info: KindInfo,
  owner: KubeObject,
  selector: LabelSelector | undefined,
  mayAdopt: (object: T) => boolean = () => true,
): Promise<readonly T[]> {
  const candidates = [
    ...informer.indexed("owner", uidOf(owner)),
    ...informer.indexed("orphans", namespaceOf(owner)).filter(mayAdopt),
  ];
  const { owned, adopt, release } = decideClaims(owner, selector, candidates);
  const withOwners = (object: T, owners: unknown): Promise<T> =>
    writer.patch(informer, object, {
      // The precondition keeps two controllers from taking over one object.
      metadata: {
        resourceVersion: object.metadata?.resourceVersion,
        uid: uidOf(object),
        ownerReferences: owners,
      },
    });
  const others = (object: T) =>
    (object.metadata?.ownerReferences ?? []).filter(({ uid }) => uid !== uidOf(owner));
  for (const object of release) await withOwners(object, others(object));
  const adopted: T[] = [];
  for (const object of adopt) {
    adopted.push(await withOwners(object, [...others(object), controllerReference(info, owner)]));
  }
  return [...owned, ...adopted];
}
