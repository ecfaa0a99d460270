/**
 * What a node's table `inroad-policy` must hold: pure. A connection is looked at where its source pod lives (egress) and
 * where its destination pod lives (ingress), when it leaves: Service addresses are translated by then, sources are not
 * masqueraded yet. What the node itself sends is exempt, and what is for the node itself does not leave.
 */
import { familyOf } from "#lib/ip";
import type { IpFamily } from "#lib/ip";
import { isolating, namedPorts } from "#model";
import type { PodModel, PolicyDirection, PolicyModel, PolicyRule, Snapshot } from "#model";
import {
  chainOf,
  fieldsOf,
  isolationOf,
  namedPortsSet,
  peersSet,
  podsSet,
  ruleTexts,
  words,
} from "./rules.ts";

export interface SetContent {
  /** nft's words between the braces. */
  readonly type: string;
  readonly elements: ReadonlySet<string>;
}

export interface TableContent {
  readonly family: IpFamily;
  readonly sets: ReadonlyMap<string, SetContent>;
  /** The rules of each chain; `egress` and `ingress` are hooked. */
  readonly chains: ReadonlyMap<string, readonly string[]>;
}

export const families: readonly IpFamily[] = ["IPv4", "IPv6"];
export const directions: readonly PolicyDirection[] = ["egress", "ingress"];

/**
 * The table of each family in which a policy selects a pod of this node; no table where none does. Only policies that select
 * one of them are in it.
 */
export function planPolicy(snapshot: Snapshot, node: string): readonly TableContent[] {
  if (snapshot.policies.size === 0) return [];
  return families.flatMap((family) => {
    const context = contextOf(snapshot, node, family);
    return context.isolated.size === 0 ? [] : [planFamily(context)];
  });
}

function planFamily(context: Context): TableContent {
  const parts = directions.map((direction) => planDirection(context, direction));
  return {
    family: context.family,
    sets: new Map([...frameSets(context), ...parts.flatMap(({ sets }) => [...sets])]),
    chains: new Map(parts.flatMap(({ chains }) => [...chains])),
  };
}

interface Context {
  readonly snapshot: Snapshot;
  readonly family: IpFamily;
  /** Addresses of this family by `namespace/name`, of all pods. */
  readonly addresses: ReadonlyMap<string, string>;
  /** Those of this node that a policy selects. */
  readonly isolated: ReadonlyMap<string, PodModel>;
}

function contextOf(snapshot: Snapshot, node: string, family: IpFamily): Context {
  const addresses = new Map<string, string>();
  const isolated = new Map<string, PodModel>();
  for (const [address, pod] of snapshot.podsByAddress) {
    if (familyOf(address) !== family) continue;
    const key = `${pod.namespace}/${pod.name}`;
    addresses.set(key, address);
    const binds = directions.some((direction) => isolating(snapshot, pod, direction).length > 0);
    if (pod.node === node && binds) isolated.set(address, pod);
  }
  return { snapshot, family, addresses, isolated };
}

/** ADDRESS . PORT . ADDRESS . PORT . PROTOCOL of what was kept back lately; a flood finds it full and is dropped all the same. */
const deniedFlags = "flags dynamic,timeout; size 4096; timeout 1m;";

/** Set of the connections that were kept back. */
export function deniedSet(direction: PolicyDirection): string {
  return `denied-${direction}`;
}

function frameSets({ family, isolated }: Context): [string, SetContent][] {
  const { address } = words[family];
  const connection = `${address} . inet_service . ${address} . inet_service . inet_proto`;
  return [
    // A pod that meets itself through a Service.
    [
      "itself",
      setOf(
        `type ${address} . ${address};`,
        [...isolated.keys()].map((one) => `${one} . ${one}`),
      ),
    ],
    ...directions.map((direction): [string, SetContent] => [
      deniedSet(direction),
      setOf(`type ${connection}; ${deniedFlags}`, []),
    ]),
  ];
}

function planDirection(context: Context, direction: PolicyDirection): Pick<TableContent, "sets" | "chains"> {
  const { ip } = words[context.family];
  const { self } = fieldsOf(direction);
  const sets = new Map<string, SetContent>();
  const chains = new Map<string, readonly string[]>();
  const dispatch: string[] = [];
  for (const [namespace, { pods, policies }] of byNamespace(context, direction)) {
    const name = isolationOf(namespace, direction);
    sets.set(name, setOf(`type ${words[context.family].address};`, pods));
    for (const policy of policies) addPolicy(context, direction, policy, { sets, chains });
    const jumps = policies.map(
      (policy) => `${ip} ${self} @${podsSet(policy)} jump ${chainOf(policy, direction)}`,
    );
    chains.set(name, [...jumps, `update @${deniedSet(direction)} { ${connectionOf(ip)} }`, "drop"]);
    dispatch.push(`${ip} ${self} @${name} goto ${name}`);
  }
  const exempt = [
    "ct state established,related accept",
    ...(direction === "ingress" ? ["fib saddr type local accept"] : []),
    `${ip} saddr . ${ip} daddr @itself accept`,
  ];
  chains.set(direction, dispatch.length === 0 ? [] : [...exempt, ...dispatch]);
  return { sets, chains };
}

function connectionOf(ip: string): string {
  return `${ip} saddr . th sport . ${ip} daddr . th dport . meta l4proto`;
}

interface NamespacePlan {
  readonly pods: Set<string>;
  readonly policies: Set<PolicyModel>;
}

/** The isolated pods of this node and the policies that isolate them. A policy selects pods of its own namespace only. */
function byNamespace(
  { snapshot, isolated }: Context,
  direction: PolicyDirection,
): ReadonlyMap<string, { readonly pods: ReadonlySet<string>; readonly policies: readonly PolicyModel[] }> {
  const plans = new Map<string, NamespacePlan>();
  for (const [address, pod] of isolated) {
    const policies = isolating(snapshot, pod, direction);
    if (policies.length === 0) continue;
    const plan = plans.get(pod.namespace) ?? { pods: new Set(), policies: new Set() };
    plans.set(pod.namespace, plan);
    plan.pods.add(address);
    for (const policy of policies) plan.policies.add(policy);
  }
  const sorted = ({ policies }: NamespacePlan) => [...policies].sort((a, b) => (a.name < b.name ? -1 : 1));
  return new Map([...plans].map(([name, plan]) => [name, { pods: plan.pods, policies: sorted(plan) }]));
}

interface Parts {
  readonly sets: Map<string, SetContent>;
  readonly chains: Map<string, readonly string[]>;
}

function addPolicy(
  context: Context,
  direction: PolicyDirection,
  policy: PolicyModel,
  { sets, chains }: Parts,
): void {
  const { family, isolated, addresses } = context;
  const { address } = words[family];
  const own = [...isolated].filter(([, pod]) => policy.selected.has(`${pod.namespace}/${pod.name}`));
  sets.set(
    podsSet(policy),
    setOf(
      `type ${address};`,
      own.map(([one]) => one),
    ),
  );
  const rules = policy.rules[direction] ?? [];
  const texts = rules.flatMap((_, index) => ruleTexts(policy, direction, index, family));
  chains.set(chainOf(policy, direction), texts);
  for (const [index, rule] of rules.entries()) {
    const pods = rule.peers?.pods;
    if (pods !== undefined) {
      const found = [...pods].flatMap((key) => addresses.get(key) ?? []);
      sets.set(peersSet(policy, direction, index), setOf(`type ${address};`, found));
    }
    if (rule.ports?.some(({ port }) => typeof port === "string") === true) {
      const type = `type ${address} . inet_proto . inet_service;`;
      const found = namedPortElements(context, direction, policy, rule);
      sets.set(namedPortsSet(policy, direction, index), setOf(type, found));
    }
  }
}

function namedPortElements(
  { snapshot, addresses }: Context,
  direction: PolicyDirection,
  { selected }: PolicyModel,
  { ports = [], peers }: PolicyRule,
): string[] {
  // An ipBlock may hold pods, too.
  const peerKeys = peers?.pods !== undefined && peers.blocks.length === 0 ? peers.pods : addresses.keys();
  return [...(direction === "ingress" ? selected : peerKeys)].flatMap((key) => {
    const [pod, address] = [snapshot.pods.get(key), addresses.get(key)];
    if (pod === undefined || address === undefined) return [];
    return ports.flatMap(({ protocol, port }) =>
      typeof port === "string"
        ? namedPorts(pod, protocol, port).map(
            (number) => `${address} . ${protocol.toLowerCase()} . ${number}`,
          )
        : [],
    );
  });
}

function setOf(type: string, elements: Iterable<string>): SetContent {
  return { type, elements: new Set(elements) };
}
