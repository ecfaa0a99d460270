/** What NetworkPolicies must let pass, told case by case; asked of the model and of the kernel. */
import { policy, type PolicyCase, type Table } from "./policy-world.ts";

const all: Table = "XXX XXX XXX".repeat(9);
const pod = (...names: readonly string[]) => ({
  podSelector: { matchExpressions: [{ key: "pod", operator: "In", values: names }] },
});
const ns = (name: string) => ({ namespaceSelector: { matchLabels: { ns: name } } });
const tcp = (port: number | string, endPort?: number) => ({
  protocol: "TCP",
  port,
  ...(endPort === undefined ? {} : { endPort }),
});
const udp = (port: number | string) => ({ protocol: "UDP", port });
const onlyA = { podSelector: { matchLabels: { pod: "a" } } };

/** Nothing reaches pods of x but what a pod sends to itself. */
const intoXClosed: Table = `
  X.. XXX XXX
  .X. XXX XXX
  ..X XXX XXX
  ... XXX XXX
  ... XXX XXX
  ... XXX XXX
  ... XXX XXX
  ... XXX XXX
  ... XXX XXX`;

/** Pods of x reach nothing but themselves. */
const outOfXClosed: Table = `
  X.. ... ...
  .X. ... ...
  ..X ... ...
  XXX XXX XXX
  XXX XXX XXX
  XXX XXX XXX
  XXX XXX XXX
  XXX XXX XXX
  XXX XXX XXX`;

const xClosed: Table = `
  X.. ... ...
  .X. ... ...
  ..X ... ...
  ... XXX XXX
  ... XXX XXX
  ... XXX XXX
  ... XXX XXX
  ... XXX XXX
  ... XXX XXX`;

/** Nothing reaches xa. */
const intoXaClosed: Table = `
  XXX XXX XXX
  .XX XXX XXX
  .XX XXX XXX
  .XX XXX XXX
  .XX XXX XXX
  .XX XXX XXX
  .XX XXX XXX
  .XX XXX XXX
  .XX XXX XXX`;

const fromBOfX: Table = `
  XXX XXX XXX
  XXX XXX XXX
  .XX XXX XXX
  .XX XXX XXX
  .XX XXX XXX
  .XX XXX XXX
  .XX XXX XXX
  .XX XXX XXX
  .XX XXX XXX`;

const fromEveryB: Table = `
  XXX XXX XXX
  XXX XXX XXX
  .XX XXX XXX
  .XX XXX XXX
  XXX XXX XXX
  .XX XXX XXX
  .XX XXX XXX
  XXX XXX XXX
  .XX XXX XXX`;

const fromY: Table = `
  XXX XXX XXX
  .XX XXX XXX
  .XX XXX XXX
  XXX XXX XXX
  XXX XXX XXX
  XXX XXX XXX
  .XX XXX XXX
  .XX XXX XXX
  .XX XXX XXX`;

const fromBOfY: Table = `
  XXX XXX XXX
  .XX XXX XXX
  .XX XXX XXX
  .XX XXX XXX
  XXX XXX XXX
  .XX XXX XXX
  .XX XXX XXX
  .XX XXX XXX
  .XX XXX XXX`;

/** All of y, and b of x. */
const fromYOrB: Table = `
  XXX XXX XXX
  XXX XXX XXX
  .XX XXX XXX
  XXX XXX XXX
  XXX XXX XXX
  XXX XXX XXX
  .XX XXX XXX
  .XX XXX XXX
  .XX XXX XXX`;

/** xa reaches itself and pods of y only. */
const xaToY: Table = `
  X.. XXX ...
  XXX XXX XXX
  XXX XXX XXX
  XXX XXX XXX
  XXX XXX XXX
  XXX XXX XXX
  XXX XXX XXX
  XXX XXX XXX
  XXX XXX XXX`;

const xaOutClosed: Table = `
  X.. ... ...
  XXX XXX XXX
  XXX XXX XXX
  XXX XXX XXX
  XXX XXX XXX
  XXX XXX XXX
  XXX XXX XXX
  XXX XXX XXX
  XXX XXX XXX`;

const xaBothClosed: Table = `
  X.. ... ...
  .XX XXX XXX
  .XX XXX XXX
  .XX XXX XXX
  .XX XXX XXX
  .XX XXX XXX
  .XX XXX XXX
  .XX XXX XXX
  .XX XXX XXX`;

export const policyCases: readonly PolicyCase[] = [
  { name: "without policies everybody reaches everybody", policies: [], reach: { "*": all } },
  {
    name: "an empty podSelector without rules closes all pods of its namespace, for ingress only",
    policies: [policy("x/deny", {})],
    reach: { "*": intoXClosed },
  },
  {
    name: "policyTypes Egress without rules keeps all pods of the namespace from sending",
    policies: [policy("x/deny", { policyTypes: ["Egress"] })],
    reach: { "*": outOfXClosed },
  },
  {
    name: "both policyTypes without rules close both directions",
    policies: [policy("x/deny", { policyTypes: ["Ingress", "Egress"] })],
    reach: { "*": xClosed },
  },
  {
    name: "ingress rules mean nothing where policyTypes has only Egress",
    policies: [policy("x/odd", { policyTypes: ["Egress"], ingress: [{}] })],
    reach: { "*": outOfXClosed },
  },
  {
    name: "egress rules without policyTypes isolate for both directions",
    policies: [policy("x/to-all", { ...onlyA, egress: [{}] })],
    reach: { "*": intoXaClosed },
  },
  {
    name: "an empty rule allows everything",
    policies: [policy("x/allow", { ingress: [{}], egress: [{}], policyTypes: ["Ingress", "Egress"] })],
    reach: { "*": all },
  },
  {
    name: "empty lists of peers and ports allow as much as missing ones",
    policies: [policy("x/allow", { ingress: [{ from: [], ports: [] }] })],
    reach: { "*": all },
  },
  {
    name: "a podSelector in from means pods of the policy's own namespace",
    policies: [policy("x/from-b", { ...onlyA, ingress: [{ from: [pod("b")] }] })],
    reach: { "*": fromBOfX },
  },
  {
    name: "an empty namespaceSelector beside a podSelector means such pods everywhere",
    policies: [
      policy("x/from-b", { ...onlyA, ingress: [{ from: [{ namespaceSelector: {}, ...pod("b") }] }] }),
    ],
    reach: { "*": fromEveryB },
  },
  {
    name: "a namespaceSelector alone means all pods of such namespaces",
    policies: [policy("x/from-y", { ...onlyA, ingress: [{ from: [ns("y")] }] })],
    reach: { "*": fromY },
  },
  {
    name: "every namespace is selectable by its name",
    policies: [
      policy("x/from-y", {
        ...onlyA,
        ingress: [{ from: [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "y" } } }] }],
      }),
    ],
    reach: { "*": fromY },
  },
  {
    name: "two selectors in one item must both hold",
    policies: [policy("x/and", { ...onlyA, ingress: [{ from: [{ ...ns("y"), ...pod("b") }] }] })],
    reach: { "*": fromBOfY },
  },
  {
    name: "two items are alternatives",
    policies: [policy("x/or", { ...onlyA, ingress: [{ from: [ns("y"), pod("b")] }] })],
    reach: { "*": fromYOrB },
  },
  {
    name: "two rules are alternatives",
    policies: [policy("x/or", { ...onlyA, ingress: [{ from: [ns("y")] }, { from: [pod("b")] }] })],
    reach: { "*": fromYOrB },
  },
  {
    name: "two policies allow together what either allows",
    policies: [
      policy("x/from-b", { ...onlyA, ingress: [{ from: [pod("b")] }] }),
      policy("x/from-y", { ...onlyA, ingress: [{ from: [ns("y")] }] }),
      policy("x/nothing", onlyA),
    ],
    reach: { "*": fromYOrB },
  },
  {
    name: "NotIn, Exists and DoesNotExist select by what is and is not there",
    policies: [
      policy("x/odd", {
        podSelector: {
          matchExpressions: [
            { key: "pod", operator: "Exists" },
            { key: "pod", operator: "NotIn", values: ["b", "c"] },
          ],
        },
        ingress: [
          {
            from: [
              {
                namespaceSelector: {
                  matchExpressions: [{ key: "ns", operator: "NotIn", values: ["x", "z"] }],
                },
                podSelector: { matchExpressions: [{ key: "absent", operator: "DoesNotExist" }] },
              },
            ],
          },
        ],
      }),
    ],
    reach: { "*": fromY },
  },
  {
    name: "a selector that finds nobody allows nobody",
    policies: [policy("x/from-nobody", { ...onlyA, ingress: [{ from: [pod("q")] }] })],
    reach: { "*": intoXaClosed },
  },
  {
    name: "a rule with ports and no peers allows these ports to everybody",
    policies: [policy("x/port", { ...onlyA, ingress: [{ ports: [tcp(80)] }] })],
    reach: { "*": intoXaClosed, "80/TCP": all },
  },
  {
    name: "both peers and ports of a rule must fit",
    policies: [policy("x/port", { ...onlyA, ingress: [{ from: [ns("y")], ports: [tcp(81), udp(80)] }] })],
    reach: { "*": intoXaClosed, "81/TCP": fromY, "80/UDP": fromY },
  },
  {
    name: "a port without protocol is TCP",
    policies: [policy("x/port", { ...onlyA, ingress: [{ ports: [{ port: 80 }] }] })],
    reach: { "*": intoXaClosed, "80/TCP": all },
  },
  {
    name: "a protocol without port means all its ports",
    policies: [policy("x/udp", { ...onlyA, ingress: [{ ports: [{ protocol: "UDP" }] }] })],
    reach: { "*": intoXaClosed, "*/UDP": all },
  },
  {
    name: "SCTP is a protocol of its own",
    policies: [policy("x/sctp", { ...onlyA, ingress: [{ ports: [{ protocol: "SCTP", port: 80 }] }] })],
    reach: { "*": intoXaClosed, "80/SCTP": all },
  },
  {
    name: "endPort makes a range, with both ends",
    policies: [policy("x/range", { ...onlyA, ingress: [{ ports: [tcp(81, 90), tcp(79, 80)] }] })],
    reach: { "*": intoXaClosed, "*/TCP": all },
  },
  {
    name: "a range that ends before the port does not help",
    policies: [policy("x/range", { ...onlyA, ingress: [{ ports: [tcp(1, 80)] }] })],
    reach: { "*": intoXaClosed, "80/TCP": all },
  },
  {
    name: "a named port for ingress is that of the selected pod",
    policies: [policy("x/named", { ...onlyA, ingress: [{ ports: [tcp("serve-81-tcp")] }] })],
    reach: { "*": intoXaClosed, "81/TCP": all },
  },
  {
    name: "a name belongs to its protocol",
    policies: [
      policy("x/named", { ...onlyA, ingress: [{ ports: [udp("serve-81-tcp"), udp("serve-80-udp")] }] }),
    ],
    reach: { "*": intoXaClosed, "80/UDP": all },
  },
  {
    name: "a named port for egress is that of the destination",
    policies: [
      policy("x/named", {
        ...onlyA,
        policyTypes: ["Egress"],
        egress: [{ to: [ns("y")], ports: [tcp("serve-80-tcp")] }],
      }),
    ],
    reach: { "*": xaOutClosed, "80/TCP": xaToY },
  },
  {
    name: "egress to one namespace",
    policies: [policy("x/to-y", { ...onlyA, policyTypes: ["Egress"], egress: [{ to: [ns("y")] }] })],
    reach: { "*": xaToY },
  },
  {
    name: "a connection needs the consent of both ends",
    policies: [
      policy("x/to-y", { ...onlyA, policyTypes: ["Egress"], egress: [{ to: [ns("y")] }] }),
      policy("y/from-z", { ...onlyA, ingress: [{ from: [ns("z")] }] }),
    ],
    reach: {
      "*": `
        X.. .XX ...
        XXX .XX XXX
        XXX .XX XXX
        XXX XXX XXX
        XXX .XX XXX
        XXX .XX XXX
        XXX XXX XXX
        XXX XXX XXX
        XXX XXX XXX`,
    },
  },
  {
    name: "isolation of one direction is none of the other: replies come back",
    policies: [
      policy("x/in", { ...onlyA, ingress: [] }),
      policy("y/out", { ...onlyA, policyTypes: ["Egress"], egress: [] }),
    ],
    reach: {
      "*": `
        XXX XXX XXX
        .XX XXX XXX
        .XX XXX XXX
        ... X.. ...
        .XX XXX XXX
        .XX XXX XXX
        .XX XXX XXX
        .XX XXX XXX
        .XX XXX XXX`,
    },
  },
  {
    name: "an isolated pod still reaches itself",
    policies: [policy("x/deny", { ...onlyA, policyTypes: ["Ingress", "Egress"] })],
    reach: { "*": xaBothClosed },
  },
  {
    name: "an ipBlock holds pods by their addresses, except those of its exceptions",
    policies: [
      policy("x/block", {
        ...onlyA,
        ingress: [
          // All of node-b but xc.
          { from: [{ ipBlock: { cidr: "10.244.1.0/24", except: ["10.244.1.12/32"] } }] },
          { from: [{ ipBlock: { cidr: "fd00:10:244:1::/64", except: ["fd00:10:244:1::12/128"] } }] },
        ],
      }),
    ],
    reach: {
      "*": `
        XXX XXX XXX
        .XX XXX XXX
        .XX XXX XXX
        .XX XXX XXX
        XXX XXX XXX
        .XX XXX XXX
        XXX XXX XXX
        .XX XXX XXX
        XXX XXX XXX`,
    },
  },
  {
    name: "what one block excepts another rule may allow",
    policies: [
      policy("x/block", {
        ...onlyA,
        ingress: [
          { from: [{ ipBlock: { cidr: "0.0.0.0/0", except: ["10.244.0.0/15"] } }] },
          { from: [{ ipBlock: { cidr: "::/0", except: ["fd00:10:244::/48"] } }] },
          { from: [ns("y")] },
        ],
      }),
    ],
    reach: { "*": fromY },
  },
  {
    name: "egress to a block with ports",
    policies: [
      policy("x/block", {
        ...onlyA,
        policyTypes: ["Egress"],
        egress: [
          {
            to: [
              { ipBlock: { cidr: "10.244.0.20/30" } },
              { ipBlock: { cidr: "10.244.1.20/30" } },
              { ipBlock: { cidr: "fd00:10:244:0::20/124" } },
              { ipBlock: { cidr: "fd00:10:244:1::20/124" } },
            ],
            ports: [tcp(80), tcp("serve-81-tcp")],
          },
        ],
      }),
    ],
    reach: { "*": xaOutClosed, "*/TCP": xaToY },
  },
  {
    name: "labels of pods and namespaces decide, not their names",
    policies: [policy("x/from-y", { ...onlyA, ingress: [{ from: [{ ...ns("y"), ...pod("b") }] }] })],
    changes: {
      podLabels: { xa: { pod: "c" }, xc: { pod: "a" }, za: { pod: "b" }, zb: {} },
      namespaceLabels: { y: {}, z: { ns: "y" } },
    },
    // Pod xc is the one selected now; za is the only b of a namespace y.
    reach: {
      "*": `
        XX. XXX XXX
        XX. XXX XXX
        XXX XXX XXX
        XX. XXX XXX
        XX. XXX XXX
        XX. XXX XXX
        XXX XXX XXX
        XX. XXX XXX
        XX. XXX XXX`,
    },
  },
];
