/** Which containers run a local command instead of a stand-in: the `commands` of inroad.yaml. Pure. */
import type { KubeObject } from "#kube";
import type { Container } from "kubernetes-types/core/v1.js";

/** All criteria that are given must hold; at least one must be given. */
export interface CommandMapping {
  /** `ghcr.io/acme/api`, with or without tag or digest: without, any tag fits. */
  readonly image?: string;
  /** Name of the container. */
  readonly container?: string;
  /** `deployment/api`, `statefulset/db`, `pod/x`, in any namespace, or `NAMESPACE/deployment/api`. */
  readonly workload?: string;
  readonly command: string;
  readonly args?: readonly string[];
  /** Working directory; absolute. */
  readonly cwd?: string;
  /** Set over what the pod's spec sets. */
  readonly env?: Readonly<Record<string, string>>;
}

/** The first mapping that fits, in the file's order. */
export function findMapping(
  mappings: readonly CommandMapping[],
  pod: KubeObject,
  container: Container,
): CommandMapping | undefined {
  return mappings.find(
    ({ image, container: name, workload }) =>
      (image ?? name ?? workload) !== undefined &&
      (image === undefined || sameImage(image, container.image ?? "")) &&
      (name === undefined || name === container.name) &&
      (workload === undefined || workloadsOf(pod).includes(workload.toLowerCase())),
  );
}

function sameImage(wanted: string, image: string): boolean {
  return image === wanted || image.startsWith(`${wanted}@`) || nameOfImage(image) === wanted;
}

/** The image without digest and tag; a colon before the last slash belongs to a registry's port. */
function nameOfImage(image: string): string {
  const plain = image.split("@", 1)[0] ?? "";
  const colon = plain.lastIndexOf(":");
  return colon > plain.lastIndexOf("/") ? plain.slice(0, colon) : plain;
}

/** All names a pod's workload goes by, in lower case. A ReplicaSet of a Deployment counts as the Deployment. */
function workloadsOf(pod: KubeObject): string[] {
  const { namespace = "", name = "", ownerReferences = [], labels = {} } = pod.metadata ?? {};
  const hash = labels["pod-template-hash"];
  const names = [`pod/${name}`];
  for (const owner of ownerReferences) {
    names.push(`${owner.kind}/${owner.name}`);
    const suffix = `-${hash}`;
    if (owner.kind === "ReplicaSet" && hash !== undefined && owner.name.endsWith(suffix)) {
      names.push(`deployment/${owner.name.slice(0, -suffix.length)}`);
    }
  }
  return names.flatMap((text) => [text.toLowerCase(), `${namespace}/${text}`.toLowerCase()]);
}
