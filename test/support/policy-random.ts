/** Random NetworkPolicies over pods whose labels are random, too. */
import * as fc from "fast-check";
import type { Labels, Peer, PolicyWorld, Selector } from "./policy-evaluator.ts";
import { namespaces, policy, worldPods } from "./policy-world.ts";

const value = fc.constantFrom("a", "b", "c");
const key = fc.constantFrom("pod", "ns", "tier");
const values = fc.uniqueArray(value, { minLength: 1, maxLength: 2 });
const expression = fc.oneof(
  fc.record({ key, operator: fc.constantFrom("In", "NotIn"), values }),
  fc.record({ key, operator: fc.constantFrom("Exists", "DoesNotExist") }),
);
const selectorOver = (labels: fc.Arbitrary<Labels>): fc.Arbitrary<Selector> =>
  fc.oneof(
    fc.constant({}),
    fc.record({ matchLabels: labels }),
    fc.record({ matchExpressions: fc.array(expression, { minLength: 1, maxLength: 2 }) }),
  );
const podSelector = selectorOver(
  fc.oneof(fc.record({ pod: value }), fc.record({ pod: value, tier: value }), fc.record({ tier: value })),
);
const namespaceSelector = selectorOver(
  fc.oneof(
    fc.record({ ns: fc.constantFrom<string>(...namespaces) }),
    fc.record({ "kubernetes.io/metadata.name": fc.constantFrom<string>(...namespaces) }),
  ),
);
type Block = NonNullable<Peer["ipBlock"]>;
const peerIn = (blocks: readonly Block[]): fc.Arbitrary<Peer> =>
  fc.oneof(
    fc.record({ podSelector }),
    fc.record({ namespaceSelector }),
    fc.record({ podSelector, namespaceSelector }),
    fc.record({ ipBlock: fc.constantFrom(...blocks) }),
  );
const protocol = fc.constantFrom("TCP", "UDP", "SCTP");
const port = fc.oneof(
  fc.record({ protocol, port: fc.constantFrom(80, 81) }),
  fc.record({ protocol, port: fc.constantFrom(1, 80), endPort: fc.constantFrom(80, 81, 90) }),
  fc.record({ protocol, port: fc.constantFrom("serve-80-tcp", "serve-81-udp", "serve-81-sctp", "none") }),
  fc.record({ protocol }),
  fc.record({ port: fc.constantFrom(80, 81) }),
);
const few = <T>(item: fc.Arbitrary<T>) => fc.array(item, { maxLength: 3 });
const ruleWith = (peers: "from" | "to", blocks: readonly Block[]) =>
  fc.record({ [peers]: few(peerIn(blocks)), ports: few(port) }, { requiredKeys: [] });
const policyWith = (blocks: readonly Block[]) =>
  fc.record({
    namespace: fc.constantFrom(...namespaces),
    spec: fc.record(
      {
        podSelector,
        policyTypes: fc.constantFrom(["Ingress"], ["Egress"], ["Ingress", "Egress"]),
        ingress: few(ruleWith("from", blocks)),
        egress: few(ruleWith("to", blocks)),
      },
      { requiredKeys: ["podSelector"] },
    ),
  });
const podLabels = fc.record({ pod: value, tier: value }, { requiredKeys: [] });
const namespaceLabels = fc.record({ ns: fc.constantFrom<string>(...namespaces) }, { requiredKeys: [] });

/** Up to `most` policies over the pods of these keys, in the namespaces of `policy-world.ts`. */
export function policiesOver(
  pods: readonly string[],
  blocks: readonly Block[],
  most = 6,
): fc.Arbitrary<PolicyWorld> {
  return fc
    .record({
      policies: fc.array(policyWith(blocks), { maxLength: most }),
      pods: fc.tuple(...pods.map(() => podLabels)),
      spaces: fc.tuple(...namespaces.map(() => namespaceLabels)),
    })
    .map(({ policies, pods: labels, spaces }) => ({
      policies: policies.map(({ namespace, spec }, i) => policy(`${namespace}/p${i}`, spec)),
      changes: {
        podLabels: Object.fromEntries(pods.map((key, i) => [key, { ...labels[i] }])),
        namespaceLabels: Object.fromEntries(namespaces.map((name, i) => [name, { ...spaces[i] }])),
      },
    }));
}

/** Up to six policies over the nine pods. */
export const randomWorld: fc.Arbitrary<PolicyWorld> = policiesOver(
  worldPods.map(({ key }) => key),
  [
    { cidr: "10.244.0.0/24" },
    { cidr: "10.244.1.0/24", except: ["10.244.1.16/28", "10.244.1.30/32"] },
    { cidr: "0.0.0.0/0", except: ["10.244.0.16/28"] },
    { cidr: "::/0", except: ["fd00:10:244:1::/64"] },
    { cidr: "fd00:10:244::20/124" },
    { cidr: "10.244.0.10/32" },
  ],
);
