/** What is odd about a NetworkPolicy that can be read. It is in force all the same. */
import { type KubeObject, labelSelectorMatches } from "#kube";
import { inNetwork } from "#lib/ip";
import { keyOf, namespaceOf } from "./objects.ts";
import type { PodIndex } from "./pod-index.ts";
import { namedPorts } from "./policy.ts";
import type {
  Finding,
  NodeModel,
  ObjectRef,
  PodModel,
  PolicyDirection,
  PolicyModel,
  PolicyRule,
} from "./types.ts";
import { asNetworkPolicy } from "./views.ts";

/** What a policy is looked at together with. */
export interface PolicySurroundings {
  readonly index: PodIndex;
  readonly pods: ReadonlyMap<string, PodModel>;
  readonly nodes: ReadonlyMap<string, NodeModel>;
  /** Addresses that are translated to pods' before policies see the packet, with the Service that has them. */
  readonly serviceAddresses: ReadonlyMap<string, string>;
}

export function policyFindings(
  object: KubeObject,
  policy: PolicyModel,
  surroundings: PolicySurroundings,
): readonly Finding[] {
  const directions = (["ingress", "egress"] as const).flatMap((direction) =>
    (policy.rules[direction] ?? []).flatMap((rule, index) =>
      ruleFindings(policy, direction, rule, { field: `spec.${direction}[${index}]`, surroundings }),
    ),
  );
  return [...selectionFindings(object, policy, surroundings), ...directions];
}

function selectionFindings(
  object: KubeObject,
  policy: PolicyModel,
  { index }: PolicySurroundings,
): readonly Finding[] {
  const selector = asNetworkPolicy(object).spec?.podSelector;
  const onHost = index
    .inNamespace(namespaceOf(object))
    .filter(({ hostNetwork, labels }) => hostNetwork && labelSelectorMatches(selector, labels));
  const bound = { field: "spec.podSelector", policy };
  return [
    ...(policy.selected.size > 0 || onHost.length > 0
      ? []
      : [
          findingOf(bound, "PolicySelectsNoPod", {
            message: `NetworkPolicy ${keyOf(object)} selects no pod, so it binds nobody`,
            mend: "compare spec.podSelector with the labels of the pods (kubectl get pods --show-labels)",
          }),
        ]),
    ...(onHost.length === 0
      ? []
      : [
          findingOf(bound, "PolicySelectsHostNetwork", {
            message: `NetworkPolicy ${keyOf(object)} does not bind ${onHost.map(({ name }) => name).join(", ")}: pods in the network of their host have no address of their own`,
            mend: "run them without hostNetwork, or protect the node",
            affects: onHost.map(podRef),
          }),
        ]),
  ];
}

interface RuleContext {
  readonly field: string;
  readonly surroundings: PolicySurroundings;
}

function ruleFindings(
  policy: PolicyModel,
  direction: PolicyDirection,
  rule: PolicyRule,
  { field, surroundings }: RuleContext,
): readonly Finding[] {
  const list = `${field}.${direction === "ingress" ? "from" : "to"}`;
  const { peers } = rule;
  const empty = peers?.pods?.size === 0 && peers.blocks.length === 0;
  return [
    ...(empty
      ? [
          findingOf({ field: list, policy }, "PolicyPeerSelectsNoPod", {
            message: `${list} of NetworkPolicy ${policy.namespace}/${policy.name} selects no pod, so it allows nobody`,
            mend: "compare the selectors with the labels of pods and namespaces; two items are alternatives, two selectors in one item must both hold",
          }),
        ]
      : []),
    ...(peers?.blocks ?? []).flatMap(({ cidr }) => blockFindings(policy, list, cidr, surroundings)),
    ...portFindings(policy, direction, rule, { field, surroundings }),
  ];
}

/** An ipBlock is meant for addresses outside of the cluster. */
function blockFindings(
  policy: PolicyModel,
  field: string,
  cidr: string,
  { nodes, serviceAddresses }: PolicySurroundings,
): readonly Finding[] {
  const [base = "", prefix] = cidr.split("/");
  const service = prefix === "32" || prefix === "128" ? serviceAddresses.get(base) : undefined;
  const ofPods = [...nodes.values()].find(({ podCIDRs }) =>
    podCIDRs.some((network) => isInside(cidr, network)),
  );
  return [
    ...(service === undefined
      ? []
      : [
          findingOf({ field, policy }, "PolicyBlockIsService", {
            message: `ipBlock ${cidr} is an address of Service ${service}; policies see packets after translation, with the address of a pod`,
            mend: `select the pods of Service ${service} by podSelector and namespaceSelector`,
          }),
        ]),
    ...(ofPods === undefined
      ? []
      : [
          findingOf({ field, policy }, "PolicyBlockOfPods", {
            message: `ipBlock ${cidr} lies among the pod addresses of node ${ofPods.name}, which pass from pod to pod`,
            mend: "select pods by podSelector and namespaceSelector; ipBlock is for addresses outside of the cluster",
          }),
        ]),
  ];
}

function isInside(inner: string, outer: string): boolean {
  const [base = "", prefix] = inner.split("/");
  return Number(prefix) >= Number(outer.split("/")[1]) && inNetwork(base, outer);
}

/** Names are looked up in the destination pods: the peers for egress, the selected ones for ingress. */
function portFindings(
  policy: PolicyModel,
  direction: PolicyDirection,
  { peers, ports = [] }: PolicyRule,
  { field, surroundings: { pods } }: RuleContext,
): readonly Finding[] {
  if (ports.every(({ port }) => typeof port !== "string")) return [];
  const keys = direction === "ingress" ? policy.selected : (peers?.pods ?? pods.keys());
  const destinations = [...keys].flatMap((key) => pods.get(key) ?? []);
  if (destinations.length === 0) return [];
  return ports.flatMap(({ protocol, port }, index) => {
    if (typeof port !== "string") return [];
    if (destinations.some((pod) => namedPorts(pod, protocol, port).length > 0)) return [];
    return [
      findingOf({ field: `${field}.ports[${index}].port`, policy }, "PolicyPortNameMissing", {
        message: `no destination pod has a container port "${port}" of protocol ${protocol}, so this port allows nothing`,
        mend: "use the name of a container port, or its number",
      }),
    ];
  });
}

function findingOf(
  { field, policy: { namespace, name } }: { readonly field: string; readonly policy: PolicyModel },
  code: string,
  rest: Pick<Finding, "message" | "mend" | "affects">,
): Finding {
  return {
    code,
    severity: "warning",
    object: { kind: "NetworkPolicy", namespace, name },
    field,
    ...rest,
    affectsRouting: false,
  };
}

function podRef({ namespace, name }: PodModel): ObjectRef {
  return { kind: "Pod", namespace, name };
}
