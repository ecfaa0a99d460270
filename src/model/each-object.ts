/** Going through the objects of a kind: in one order, and none blocks another. */
import type { KubeObject } from "#kube";
import { messageOf } from "#lib/errors";
import { perObject } from "./memo.ts";
import { byText, keyOf, nameOf, namespaceOf } from "./objects.ts";
import type { Finding } from "./types.ts";

/** The objects of a list with their keys, in the order of these. */
const byName = perObject((objects: readonly KubeObject[]) =>
  objects.map((object) => ({ key: keyOf(object), object })).sort((a, b) => byText(a.key, b.key)),
);

/** Calls `each` for every object, in the order of their names unless told; what it throws becomes a finding. */
export function forEach(
  objects: readonly KubeObject[],
  kind: string,
  findings: Finding[],
  each: (object: KubeObject, key: string) => void,
  order?: (a: KubeObject, b: KubeObject) => number,
): void {
  const named = byName(objects);
  const ordered = order === undefined ? named : named.toSorted((a, b) => order(a.object, b.object));
  for (const { key, object } of ordered) {
    try {
      each(object, key);
    } catch (error) {
      findings.push(invalidObject(kind, object, error));
    }
  }
}

function invalidObject(kind: string, object: KubeObject, error: unknown): Finding {
  return {
    code: "InvalidObject",
    severity: "error",
    object: { kind, namespace: namespaceOf(object), name: nameOf(object) },
    message: `${kind} ${keyOf(object)} cannot be read: ${messageOf(error)}`,
    mend: "correct the object; it is ignored until then",
    affectsRouting: true,
  };
}
