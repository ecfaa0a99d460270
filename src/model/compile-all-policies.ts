/** All NetworkPolicies of a cluster, and what is odd about them. */
import type { KubeObject } from "#kube";
import { compilePolicy, labelsOfNamespaces } from "./compile-policies.ts";
import { forEach } from "./each-object.ts";
import { externalAddresses } from "./endpoints.ts";
import { policyFindings } from "./findings-policy.ts";
import { perObject } from "./memo.ts";
import { keyOf, namespaceOf, type ClusterObjects } from "./objects.ts";
import type { PodIndex } from "./pod-index.ts";
import type { Finding, NodeModel, ObjectRef, PodModel, PolicyModel, ServiceModel } from "./types.ts";

interface Surroundings {
  readonly nodes: ReadonlyMap<string, NodeModel>;
  readonly pods: ReadonlyMap<string, PodModel>;
  readonly index: PodIndex;
  readonly services: ReadonlyMap<string, ServiceModel>;
}

interface CompiledPolicies {
  readonly policies: ReadonlyMap<string, PolicyModel>;
  readonly findings: readonly Finding[];
}

const none: CompiledPolicies = { policies: new Map(), findings: [] };

/** Unreadable policies are left out, with a finding about every pod that they may be meant for. */
export function compilePolicies(
  { networkPolicies = [], namespaces }: Pick<ClusterObjects, "networkPolicies" | "namespaces">,
  { index, services, ...rest }: Surroundings,
): CompiledPolicies {
  if (networkPolicies.length === 0) return none;
  const { policies, findings } = resolve(networkPolicies)(namespaces)(index);
  const surroundings = { ...rest, index, serviceAddresses: addressesOf(services) };
  const odd = networkPolicies
    .toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
    .flatMap((object) => {
      const policy = policies.get(keyOf(object));
      return policy === undefined ? [] : policyFindings(object, policy, surroundings);
    });
  return { policies, findings: [...findings, ...odd] };
}

/** The same value while policies and namespaces are the same lists and no pod has changed in what selectors look at. */
const resolve = perObject((objects: readonly KubeObject[]) =>
  perObject((namespaces: readonly KubeObject[]) => {
    let last: { readonly index: PodIndex; readonly compiled: CompiledPolicies } | undefined;
    return (index: PodIndex): CompiledPolicies => {
      const compiled =
        last !== undefined && looksSame(last.index, index)
          ? last.compiled
          : resolveAll(objects, namespaces, index);
      last = { index, compiled };
      return compiled;
    };
  }),
);

/** Most changes of pods are of their status. */
function looksSame(before: PodIndex, after: PodIndex): boolean {
  if (before === after) return true;
  const [old, now] = [[...before.namespaces()], [...after.namespaces()]];
  return (
    old.length === now.length &&
    now.every((namespace) => {
      const [some, others] = [before.inNamespace(namespace), after.inNamespace(namespace)];
      return some.length === others.length && some.every((pod, i) => isSelectedAlike(pod, others[i]));
    })
  );
}

function isSelectedAlike(a: PodModel, b: PodModel | undefined): boolean {
  if (a === b) return true;
  if (b === undefined || a.name !== b.name || a.hostNetwork !== b.hostNetwork) return false;
  const keys = Object.keys(a.labels);
  return keys.length === Object.keys(b.labels).length && keys.every((key) => a.labels[key] === b.labels[key]);
}

function resolveAll(
  objects: readonly KubeObject[],
  namespaces: readonly KubeObject[],
  index: PodIndex,
): CompiledPolicies {
  const policies = new Map<string, PolicyModel>();
  const findings: Finding[] = [];
  const scope = { pods: index, namespaces: labelsOfNamespaces(namespaces, index.namespaces()) };
  forEach(objects, "NetworkPolicy", findings, (object, key) => {
    policies.set(key, compilePolicy(object, scope));
  });
  const unread = objects.filter((object) => !policies.has(keyOf(object)));
  return { policies, findings: findings.map((finding) => aboutItsPods(finding, unread, index)) };
}

/** A policy that cannot be read binds nobody, though it may be meant for any pod of its namespace. */
function aboutItsPods(finding: Finding, unread: readonly KubeObject[], index: PodIndex): Finding {
  const object = unread.find((one) => keyOf(one) === `${finding.object.namespace}/${finding.object.name}`);
  const pods = object === undefined ? [] : index.inNamespace(namespaceOf(object));
  return pods.length === 0 ? finding : { ...finding, affects: pods.map(podRef) };
}

function podRef({ namespace, name }: PodModel): ObjectRef {
  return { kind: "Pod", namespace, name };
}

const addressesOf = perObject(
  (services: ReadonlyMap<string, ServiceModel>): ReadonlyMap<string, string> =>
    new Map(
      [...services].flatMap(([key, service]) =>
        [...service.clusterIPs, ...externalAddresses(service)].map((address) => [address, key] as const),
      ),
    ),
);
