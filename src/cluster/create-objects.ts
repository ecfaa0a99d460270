/** Creates the objects a cluster starts with, in order, as any client of the API would. */
import { ApiError, type Client } from "#client";
import { kindOf, type KindInfo, type KubeObject } from "#kube";
import { InroadError, messageOf } from "#lib/errors";

/** Namespaces first, since the others live in them; an object that exists already is left as it is. */
export async function createObjects(
  client: Client,
  objects: readonly KubeObject[],
  unknown: readonly KindInfo[],
): Promise<void> {
  const isNamespace = ({ kind }: KubeObject): boolean => kind === "Namespace";
  const ordered = [...objects.filter(isNamespace), ...objects.filter((object) => !isNamespace(object))];
  for (const object of ordered) {
    try {
      const kind = kindFor(object, unknown);
      const namespace = object.metadata?.namespace ?? "default";
      await client.create(
        kind,
        kind.namespaced ? { ...object, metadata: { ...object.metadata, namespace } } : object,
      );
    } catch (error) {
      if (error instanceof ApiError && error.reason === "AlreadyExists") continue;
      const { kind, metadata } = object;
      throw new InroadError("ObjectRefused", messageOf(error), {
        where: `${kind} ${metadata?.namespace ?? ""}/${metadata?.name}`,
        cause: error,
      });
    }
  }
}

function kindFor(object: KubeObject, unknown: readonly KindInfo[]): KindInfo {
  const { apiVersion = "", kind = "" } = object;
  const isThis = (one: KindInfo): boolean =>
    one.kind === kind && (one.group === "" ? one.version : `${one.group}/${one.version}`) === apiVersion;
  const found = kindOf(apiVersion, kind) ?? unknown.find(isThis);
  if (found === undefined) throw new InroadError("UnknownKind", `no kind ${kind} in ${apiVersion}`);
  return found;
}
