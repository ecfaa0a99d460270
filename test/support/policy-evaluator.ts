/**
 * NetworkPolicies once more, as plainly as they can be said: straight from the objects, one question at a time, sharing
 * nothing with the model.
 */
import type { KubeObject } from "#kube";
import { worldObjects } from "./policy-world.ts";
import type { WorldChanges, WorldPod } from "./policy-world.ts";

/** Policies, and what is unusual about the nine pods. */
export interface PolicyWorld {
  readonly policies: readonly KubeObject[];
  readonly changes: WorldChanges;
}

export interface Question {
  readonly from: WorldPod;
  readonly to: WorldPod;
  readonly family: "ipv4" | "ipv6";
  readonly protocol: string;
  readonly port: number;
}

export interface Selector {
  matchLabels?: Record<string, string>;
  matchExpressions?: { key: string; operator: string; values?: string[] }[];
}
export interface Peer {
  podSelector?: Selector;
  namespaceSelector?: Selector;
  ipBlock?: { cidr: string; except?: string[] };
}
interface Rule {
  from?: Peer[];
  to?: Peer[];
  ports?: { protocol?: string; port?: number | string; endPort?: number }[];
}
interface Spec {
  podSelector: Selector;
  policyTypes?: string[];
  ingress?: Rule[];
  egress?: Rule[];
}

export type Labels = Record<string, string>;

/** Whether the connection may be opened. */
export function evaluate({ policies, changes }: PolicyWorld, question: Question): boolean {
  if (question.from === question.to) return true;
  const objects = worldObjects(policies, changes);
  const labelsOf = (list: readonly KubeObject[], name: string, namespace?: string): Labels =>
    list.find(({ metadata }) => metadata?.name === name && metadata.namespace === namespace)?.metadata
      ?.labels ?? {};
  const podLabels = ({ name, namespace }: WorldPod): Labels => labelsOf(objects.pods, name, namespace);
  const namespaceLabels = (name: string): Labels => ({
    ...labelsOf(objects.namespaces, name),
    "kubernetes.io/metadata.name": name,
  });

  for (const direction of ["ingress", "egress"] as const) {
    const self = direction === "ingress" ? question.to : question.from;
    const other = direction === "ingress" ? question.from : question.to;
    let isolated = false;
    let allowed = false;
    for (const { metadata, spec: given } of policies as (KubeObject & { spec: Spec })[]) {
      if (metadata?.namespace !== self.namespace || !selects(given.podSelector, podLabels(self))) continue;
      if (!appliesTo(given, direction)) continue;
      isolated = true;
      for (const rule of given[direction] ?? []) {
        const peers = (direction === "ingress" ? rule.from : rule.to) ?? [];
        const peerFits =
          peers.length === 0 ||
          peers.some((peer) => {
            if (peer.ipBlock !== undefined) {
              const address = other[question.family];
              if (!contains(peer.ipBlock.cidr, address)) return false;
              return !(peer.ipBlock.except ?? []).some((cidr) => contains(cidr, address));
            }
            if (peer.namespaceSelector === undefined && other.namespace !== metadata.namespace) return false;
            if (
              peer.namespaceSelector !== undefined &&
              !selects(peer.namespaceSelector, namespaceLabels(other.namespace))
            ) {
              return false;
            }
            return peer.podSelector === undefined || selects(peer.podSelector, podLabels(other));
          });
        const ports = rule.ports ?? [];
        const portFits =
          ports.length === 0 ||
          ports.some(({ protocol = "TCP", port, endPort }) => {
            if (protocol !== question.protocol) return false;
            if (port === undefined) return true;
            if (typeof port === "string") return port === `serve-${question.port}-${protocol.toLowerCase()}`;
            return question.port >= port && question.port <= (endPort ?? port);
          });
        if (peerFits && portFits) allowed = true;
      }
    }
    if (isolated && !allowed) return false;
  }
  return true;
}

function appliesTo({ policyTypes, egress }: Spec, direction: "ingress" | "egress"): boolean {
  if (policyTypes !== undefined) return policyTypes.some((type) => type.toLowerCase() === direction);
  return direction === "ingress" || (egress !== undefined && egress.length > 0);
}

function selects({ matchLabels = {}, matchExpressions = [] }: Selector, labels: Labels): boolean {
  for (const key in matchLabels) if (labels[key] !== matchLabels[key]) return false;
  for (const { key, operator, values = [] } of matchExpressions) {
    const value = labels[key];
    if (operator === "Exists" && value === undefined) return false;
    if (operator === "DoesNotExist" && value !== undefined) return false;
    if (operator === "In" && (value === undefined || !values.includes(value))) return false;
    if (operator === "NotIn" && value !== undefined && values.includes(value)) return false;
  }
  return true;
}

/** Bit by bit. */
function contains(cidr: string, address: string): boolean {
  const [network = "", length = ""] = cidr.split("/");
  if (network.includes(":") !== address.includes(":")) return false;
  return bits(network).slice(0, Number(length)) === bits(address).slice(0, Number(length));
}

function bits(address: string): string {
  if (!address.includes(":")) {
    return address
      .split(".")
      .map((part) => Number(part).toString(2).padStart(8, "0"))
      .join("");
  }
  const [left = "", right] = address.split("::");
  const head = left === "" ? [] : left.split(":");
  const tail = right === undefined || right === "" ? [] : right.split(":");
  const middle = right === undefined ? [] : Array.from({ length: 8 - head.length - tail.length }, () => "0");
  return [...head, ...middle, ...tail]
    .map((part) => Number.parseInt(part, 16).toString(2).padStart(16, "0"))
    .join("");
}
