/**
 * Whether NetworkPolicies let a new connection pass, and which one decides. Replies are no question of policy: they belong
 * to a connection that was allowed.
 */
import { inNetwork } from "#lib/ip";
import type {
  PodModel,
  PolicyDirection,
  PolicyModel,
  PolicyPeers,
  PolicyPort,
  PolicyRule,
  Protocol,
  Snapshot,
} from "./types.ts";

/** A new connection as it leaves a node: Service addresses already translated, the source not yet. */
export interface PolicyConnection {
  readonly from: string;
  readonly to: string;
  readonly protocol: Protocol;
  readonly port: number;
}

export interface DirectionDecision {
  readonly direction: PolicyDirection;
  /** The pod whose policies decide: the source for egress, the destination for ingress. */
  readonly pod: PodModel;
  readonly allowed: boolean;
  /**
   * `NotIsolated`: no policy selects the pod. `Itself`, `OwnNode`: policies do not bind what a pod exchanges with itself and
   * with its node. `Rule`: a rule allows it. `NoRule`: none does.
   */
  readonly why: "NotIsolated" | "Itself" | "OwnNode" | "Rule" | "NoRule";
  /** The policies that isolate the pod, by name, each with its first rule that allows the connection or why none does. */
  readonly policies: readonly PolicyOpinion[];
}

interface PolicyOpinion {
  readonly policy: PolicyModel;
  /** Index in `spec.ingress` or `spec.egress`. */
  readonly rule?: number;
  readonly why: string;
}

export interface PolicyDecision {
  readonly allowed: boolean;
  /** Absent where the end is no pod. */
  readonly egress?: DirectionDecision;
  readonly ingress?: DirectionDecision;
}

/** The snapshot as those see it who do not know of policies. */
export function withoutPolicies(snapshot: Snapshot): Snapshot {
  return snapshot.policies.size === 0 ? snapshot : { ...snapshot, policies: new Map() };
}

/** A connection needs the consent of both ends. */
export function decidePolicy(
  snapshot: Snapshot,
  from: string,
  to: string,
  protocol: Protocol,
  port: number,
): PolicyDecision {
  const connection = { from, to, protocol, port };
  const egress = decideDirection(snapshot, "egress", connection);
  const ingress = decideDirection(snapshot, "ingress", connection);
  return {
    allowed: egress?.allowed !== false && ingress?.allowed !== false,
    ...(egress === undefined ? {} : { egress }),
    ...(ingress === undefined ? {} : { ingress }),
  };
}

/** What the policies of one end say; undefined where that end is no pod (or one in the network of its host). */
export function decideDirection(
  snapshot: Snapshot,
  direction: PolicyDirection,
  connection: PolicyConnection,
): DirectionDecision | undefined {
  const { from, to } = connection;
  const [self, peer] = direction === "egress" ? [from, to] : [to, from];
  const pod = snapshot.podsByAddress.get(self);
  if (pod === undefined) return undefined;
  const policies = isolating(snapshot, pod, direction).map((policy) =>
    opinionOf(snapshot, policy, direction, connection),
  );
  const decided = (why: DirectionDecision["why"]): DirectionDecision => ({
    direction,
    pod,
    allowed: why !== "NoRule",
    why,
    policies,
  });
  if (policies.length === 0) return decided("NotIsolated");
  if (snapshot.podsByAddress.get(peer) === pod) return decided("Itself");
  if (snapshot.nodes.get(pod.node ?? "")?.addresses.includes(peer)) return decided("OwnNode");
  return decided(policies.some(({ rule }) => rule !== undefined) ? "Rule" : "NoRule");
}

type Isolating = ReadonlyMap<string, readonly PolicyModel[]>;
const indexes = new WeakMap<Snapshot, Isolating>();

/** The policies that isolate a pod in a direction, in the order of their names. */
export function isolating(
  snapshot: Snapshot,
  { namespace, name }: Pick<PodModel, "namespace" | "name">,
  direction: PolicyDirection,
): readonly PolicyModel[] {
  const index = indexes.get(snapshot) ?? indexPolicies(snapshot);
  indexes.set(snapshot, index);
  return (index.get(`${namespace}/${name}`) ?? []).filter(({ rules }) => rules[direction] !== undefined);
}

function indexPolicies({ policies }: Snapshot): Isolating {
  const index = new Map<string, PolicyModel[]>();
  for (const policy of policies.values()) {
    for (const key of policy.selected) {
      const list = index.get(key);
      if (list === undefined) index.set(key, [policy]);
      else list.push(policy);
    }
  }
  return index;
}

function opinionOf(
  snapshot: Snapshot,
  policy: PolicyModel,
  direction: PolicyDirection,
  connection: PolicyConnection,
): PolicyOpinion {
  const rules = policy.rules[direction] ?? [];
  const reasons: string[] = [];
  for (const [rule, content] of rules.entries()) {
    const objection = objectionOf(snapshot, content, direction, connection);
    if (objection === undefined) return { policy, rule, why: `${direction}[${rule}] allows it` };
    reasons.push(`${direction}[${rule}]: ${objection}`);
  }
  return { policy, why: reasons.length === 0 ? `it has no ${direction} rules` : reasons.join("; ") };
}

/** Why a rule does not allow a connection; undefined if it does. */
function objectionOf(
  snapshot: Snapshot,
  { peers, ports }: PolicyRule,
  direction: PolicyDirection,
  connection: PolicyConnection,
): string | undefined {
  const peer = direction === "egress" ? connection.to : connection.from;
  if (peers !== undefined && !isPeer(snapshot, peers, peer)) {
    return `${nameOfEnd(snapshot, peer)} is not ${direction === "egress" ? "in its to" : "in its from"}`;
  }
  if (ports === undefined || ports.some((port) => isPort(snapshot, port, connection))) return undefined;
  return `${connection.port}/${connection.protocol} is not in its ports (${ports.map(portText).join(", ")})`;
}

function isPeer(snapshot: Snapshot, { pods, blocks }: PolicyPeers, address: string): boolean {
  const pod = snapshot.podsByAddress.get(address);
  if (pod !== undefined && pods?.has(`${pod.namespace}/${pod.name}`)) return true;
  return blocks.some(
    ({ cidr, except }) => inNetwork(address, cidr) && !except.some((part) => inNetwork(address, part)),
  );
}

/** A name means the container ports of that name in the destination pod; other destinations have no named ports. */
function isPort(
  snapshot: Snapshot,
  { protocol, port, endPort }: PolicyPort,
  connection: PolicyConnection,
): boolean {
  if (protocol !== connection.protocol) return false;
  if (port === undefined) return true;
  if (typeof port === "number") return connection.port >= port && connection.port <= (endPort ?? port);
  const pod = snapshot.podsByAddress.get(connection.to);
  return pod !== undefined && namedPorts(pod, protocol, port).includes(connection.port);
}

/** The numbers of a pod's container ports that have a name. */
export function namedPorts({ ports }: PodModel, protocol: Protocol, name: string): readonly number[] {
  return ports
    .filter(
      (port) => port.name === name && port.protocol === protocol && Number.isInteger(port.containerPort),
    )
    .map(({ containerPort }) => containerPort);
}

/** `default/web (10.244.0.5)`, or the address of what is no pod. */
export function nameOfEnd(snapshot: Snapshot, address: string): string {
  const pod = snapshot.podsByAddress.get(address);
  return pod === undefined ? address : `${pod.namespace}/${pod.name} (${address})`;
}

function portText({ protocol, port, endPort }: PolicyPort): string {
  return `${port ?? "any"}${endPort === undefined ? "" : `-${endPort}`}/${protocol}`;
}
