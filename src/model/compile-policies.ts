/**
 * NetworkPolicies with their selectors resolved. Source of the rules: Kubernetes documentation "Network Policies" and the
 * comments of `networking.k8s.io/v1`.
 */
import { type KubeObject, type LabelSelector, matchesLabels, parseSelectorObject } from "#kube";
import { canonicalCidr } from "#lib/ip";
import type {
  NetworkPolicyEgressRule,
  NetworkPolicyIngressRule,
  NetworkPolicyPeer,
  NetworkPolicyPort,
  NetworkPolicySpec,
} from "kubernetes-types/networking/v1.js";
import { protocolOf } from "./compile-pods.ts";
import { perObject } from "./memo.ts";
import { keyOf, nameOf, namespaceOf } from "./objects.ts";
import type { PodIndex } from "./pod-index.ts";
import type {
  PodModel,
  PolicyBlock,
  PolicyDirection,
  PolicyModel,
  PolicyPeers,
  PolicyPort,
  PolicyRule,
} from "./types.ts";
import { asNetworkPolicy } from "./views.ts";

/** Where selectors look: the pods, and the labels of every namespace. */
export interface PolicyScope {
  readonly pods: PodIndex;
  readonly namespaces: ReadonlyMap<string, Readonly<Record<string, string>>>;
}

/**
 * Labels by namespace, also of those that only pods tell of. The API server gives each its name as a label; objects that no
 * server has seen lack it.
 */
export function labelsOfNamespaces(
  namespaces: readonly KubeObject[],
  ofPods: Iterable<string>,
): ReadonlyMap<string, Readonly<Record<string, string>>> {
  const labels = new Map<string, Readonly<Record<string, string>>>();
  const put = (name: string, own: Readonly<Record<string, string>>): void => {
    labels.set(name, { ...own, "kubernetes.io/metadata.name": name });
  };
  for (const namespace of ofPods) put(namespace, {});
  for (const object of namespaces) put(nameOf(object), object.metadata?.labels ?? {});
  return labels;
}

/** Throws for a policy that cannot be read: a malformed CIDR, an unusable selector, an unknown policyType, an empty peer. */
export function compilePolicy(object: KubeObject, scope: PolicyScope): PolicyModel {
  const { selector, rules } = parsePolicy(object);
  const [namespace, name] = [namespaceOf(object), nameOf(object)];
  // Both become parts of rules.
  if (!isName(namespace) || !isName(name)) throw new Error("its name is none that Kubernetes allows");
  const resolve = ({ peers, ports }: ParsedRule): PolicyRule => ({
    ...(peers === undefined ? {} : { peers: resolvePeers(peers, namespace, scope) }),
    ...(ports === undefined ? {} : { ports }),
  });
  return {
    namespace,
    name,
    selected: new Set(matching(scope.pods, namespace, selector)),
    rules: {
      ...(rules.ingress === undefined ? {} : { ingress: rules.ingress.map(resolve) }),
      ...(rules.egress === undefined ? {} : { egress: rules.egress.map(resolve) }),
    },
  };
}

/** RFC 1123 subdomain, as validation of the API has it. */
function isName(text: string): boolean {
  return text.length <= 253 && /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(text);
}

interface PodPeer {
  /** Absent: the policy's own namespace. */
  readonly namespaces?: LabelSelector;
  readonly pods: LabelSelector;
}

interface ParsedRule {
  readonly peers?: { readonly pods: readonly PodPeer[]; readonly blocks: readonly PolicyBlock[] };
  readonly ports?: readonly PolicyPort[];
}

interface ParsedPolicy {
  readonly selector: LabelSelector;
  readonly rules: { readonly [Direction in PolicyDirection]?: readonly ParsedRule[] };
}

const parsePolicy = perObject((object: KubeObject): ParsedPolicy => {
  const { spec } = asNetworkPolicy(object);
  if (spec === undefined) throw new Error(`${keyOf(object)} has no spec`);
  const types = typesOf(spec);
  return {
    selector: parseSelectorObject(spec.podSelector),
    rules: {
      ...(types.includes("Ingress") ? { ingress: (spec.ingress ?? []).map(parseRule) } : {}),
      ...(types.includes("Egress") ? { egress: (spec.egress ?? []).map(parseRule) } : {}),
    },
  };
});

/** Always ingress, and egress where the policy says something about it. */
function typesOf({ policyTypes = [], egress = [] }: NetworkPolicySpec): readonly string[] {
  const unknown = policyTypes.find((type) => type !== "Ingress" && type !== "Egress");
  if (unknown !== undefined) throw new Error(`policyTypes has ${unknown}, which is none`);
  if (policyTypes.length > 0) return policyTypes;
  return egress.length > 0 ? ["Ingress", "Egress"] : ["Ingress"];
}

/** An empty list of peers or ports allows as much as none. */
function parseRule(rule: NetworkPolicyIngressRule & NetworkPolicyEgressRule): ParsedRule {
  const peers = rule.from ?? rule.to ?? [];
  const ports = rule.ports ?? [];
  const blocks = peers.flatMap(({ ipBlock }) => (ipBlock === undefined ? [] : [parseBlock(ipBlock)]));
  const pods = peers.filter(({ ipBlock }) => ipBlock === undefined).map(parsePeer);
  return {
    ...(peers.length === 0 ? {} : { peers: { pods, blocks } }),
    ...(ports.length === 0 ? {} : { ports: ports.map(parsePort) }),
  };
}

function parsePeer({ namespaceSelector, podSelector }: NetworkPolicyPeer): PodPeer {
  if (namespaceSelector === undefined && podSelector === undefined) throw new Error("a peer says nothing");
  return {
    ...(namespaceSelector === undefined ? {} : { namespaces: parseSelectorObject(namespaceSelector) }),
    pods: podSelector === undefined ? [] : parseSelectorObject(podSelector),
  };
}

function parseBlock({ cidr, except = [] }: { cidr: string; except?: string[] }): PolicyBlock {
  return { cidr: networkOf(cidr), except: except.map(networkOf) };
}

function networkOf(text: string): string {
  const network = canonicalCidr(text);
  if (network === undefined) throw new Error(`${text} is no CIDR`);
  return network;
}

function parsePort({ protocol, port, endPort }: NetworkPolicyPort): PolicyPort {
  if (port === undefined) return { protocol: protocolOf(protocol) };
  if (typeof port === "string") return { protocol: protocolOf(protocol), port };
  const last = endPort ?? port;
  if (!isPort(port) || !isPort(last) || last < port) throw new Error(`${port}-${last} are no ports`);
  return { protocol: protocolOf(protocol), port, ...(endPort === undefined ? {} : { endPort }) };
}

function isPort(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= 65_535;
}

function resolvePeers(
  { pods, blocks }: NonNullable<ParsedRule["peers"]>,
  own: string,
  scope: PolicyScope,
): PolicyPeers {
  if (pods.length === 0) return { blocks };
  const keys = pods.flatMap((peer) =>
    namespacesOf(peer, own, scope).flatMap((name) => matching(scope.pods, name, peer.pods)),
  );
  return { pods: new Set(keys), blocks };
}

function namespacesOf({ namespaces }: PodPeer, own: string, scope: PolicyScope): readonly string[] {
  if (namespaces === undefined) return [own];
  return [...scope.namespaces]
    .filter(([, labels]) => matchesLabels(namespaces, labels))
    .map(([name]) => name);
}

/** A pod in the network of its host cannot be told from the host, so no selector finds it. */
function matching(index: PodIndex, namespace: string, selector: LabelSelector): string[] {
  const exact = selector.find(({ operator, values }) => operator === "in" && values.length === 1);
  const candidates =
    exact === undefined
      ? index.inNamespace(namespace)
      : index.matching(namespace, { [exact.key]: exact.values[0] ?? "" });
  return candidates
    .filter(({ hostNetwork, labels }) => !hostNetwork && matchesLabels(selector, labels))
    .map(keyOfPod);
}

const keyOfPod = perObject(({ namespace, name }: PodModel) => `${namespace}/${name}`);
