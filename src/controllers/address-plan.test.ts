import assert from "node:assert/strict";
import { test } from "node:test";
import { type AddressPool, loadBalancerClass as ownClass } from "#model";
import { planAddresses } from "./address-plan.ts";
import type { Service } from "./objects.ts";

interface Traits {
  type?: string;
  held?: readonly string[];
  /** spec.loadBalancerIP */
  wants?: string;
  loadBalancerClass?: string;
  ipFamilies?: string[];
  port?: number;
  protocol?: string;
  /** externalTrafficPolicy Local, with the selector app=VALUE. */
  localTo?: string;
  namespace?: string;
  annotations?: Record<string, string>;
  age?: number;
}

/** MetalLB's annotations under their present prefix. */
const asks = (annotations: Record<string, string>) => ({
  annotations: Object.fromEntries(
    Object.entries(annotations).map(([name, value]) => [`metallb.io/${name}`, value]),
  ),
});
const key = (value: string) => asks({ "allow-shared-ip": value });

function service(name: string, traits: Traits = {}): Service {
  const { type = "LoadBalancer", held = [], wants, age = 0, annotations = {}, namespace = "shop" } = traits;
  const { loadBalancerClass, ipFamilies, port = 80, protocol = "TCP", localTo } = traits;
  return {
    metadata: {
      ...{ name, namespace, annotations },
      creationTimestamp: `2026-01-01T00:00:${String(30 - age).padStart(2, "0")}Z`,
    },
    spec: {
      type,
      ports: [{ port, protocol }],
      externalTrafficPolicy: localTo === undefined ? "Cluster" : "Local",
      selector: { app: localTo ?? name },
      ...(ipFamilies === undefined ? {} : { ipFamilies }),
      ...(wants === undefined ? {} : { loadBalancerIP: wants }),
      ...(loadBalancerClass === undefined ? {} : { loadBalancerClass }),
    },
    status: { loadBalancer: { ingress: held.map((ip) => ({ ip, ipMode: "VIP" })) } },
  };
}

const pool = (name: string, ...addresses: string[]): AddressPool => ({ name, addresses, autoAssign: true });
const pools: readonly AddressPool[] = [pool("default", "203.0.113.128/30", "2001:db8:203:113:8000::/65")];
const several: readonly AddressPool[] = [
  pool("small", "192.0.2.7-192.0.2.8"),
  { ...pool("reserved", "198.51.100.0/28", "2001:db8:51::/64"), autoAssign: false },
  pool("large", "203.0.113.128/30"),
];
const dual = ["IPv4", "IPv6"];
const first6 = "2001:db8:203:113:8000::1";

/** `name=address`, `name=none` or `name!reason`, sorted. */
function outcome(services: readonly Service[], from = pools): string[] {
  return planAddresses(services, from)
    .flatMap(({ service: { metadata }, addresses, problems }) => [
      ...(addresses.length === 0 && problems.length > 0
        ? []
        : [`${metadata?.name}=${addresses.join() || "none"}`]),
      ...problems.map(({ reason }) => `${metadata?.name}!${reason}`),
    ])
    .toSorted();
}

type Case = readonly [what: string, services: Service[], expected: string[], from?: readonly AddressPool[]];

const choice: readonly Case[] = [
  [
    "the oldest gets the lowest",
    [service("a"), service("b", { age: 5 })],
    ["a=203.0.113.129", "b=203.0.113.128"],
  ],
  [
    "who has one keeps it",
    [service("a", { held: ["203.0.113.130"] }), service("b", { age: 5 })],
    ["a=203.0.113.130", "b=203.0.113.128"],
  ],
  [
    "an address of an older pool is replaced",
    [service("a", { held: ["198.51.100.7"] })],
    ["a=203.0.113.128"],
  ],
  [
    "one address in two Services: the older keeps it",
    [service("a", { held: ["203.0.113.128"] }), service("b", { held: ["203.0.113.128"], age: 5 })],
    ["a=203.0.113.129", "b=203.0.113.128"],
  ],
  [
    "no longer a LoadBalancer: released",
    [service("a", { type: "ClusterIP", held: ["203.0.113.128"] })],
    ["a=none"],
  ],
  [
    "what others wrote on other Services stays",
    [service("a", { type: "ClusterIP", held: ["192.0.2.1"] })],
    [],
  ],
  [
    "more Services than addresses",
    ["a", "b", "c", "d", "e"].map((name, index) => service(name, { age: 9 - index })),
    ["a=203.0.113.128", "b=203.0.113.129", "c=203.0.113.130", "d=203.0.113.131", "e!AddressPoolExhausted"],
  ],
  [
    "addresses ending in .0 and .255 are not given out unasked",
    [service("a"), service("b"), service("c", { wants: "192.0.2.255" })],
    ["a=192.0.2.254", "b!AddressPoolExhausted", "c=192.0.2.255"],
    [pool("default", "192.0.2.254/31")],
  ],
];

const classes: readonly Case[] = [
  [
    "another class is left alone",
    [service("a", { loadBalancerClass: "metallb", held: ["203.0.113.128"] })],
    [],
  ],
  ["our own class", [service("a", { loadBalancerClass: ownClass })], ["a=203.0.113.128"]],
];

const families: readonly Case[] = [
  [
    "one address of each family, in the Service's order",
    [service("a", { ipFamilies: dual }), service("b", { ipFamilies: dual.toReversed() })],
    [`a=203.0.113.128,${first6}`, "b=2001:db8:203:113:8000::2,203.0.113.129"],
  ],
  ["IPv6 alone", [service("a", { ipFamilies: ["IPv6"] })], [`a=${first6}`]],
  [
    "a family that goes takes its address along, one that comes gets another",
    [
      service("a", { held: ["203.0.113.130", first6] }),
      service("b", { held: ["203.0.113.131"], ipFamilies: dual }),
    ],
    ["a=203.0.113.130", `b=203.0.113.131,${first6}`],
  ],
  [
    "where one family has none left, the other is served",
    [service("a", { ipFamilies: dual })],
    ["a!AddressPoolExhausted", "a=203.0.113.128"],
    [pool("default", "203.0.113.128/30")],
  ],
  [
    "an address is the same however it is written",
    [service("a", { ipFamilies: ["IPv6"], held: ["2001:0DB8:203:113:8000:0::9"] })],
    ["a=2001:db8:203:113:8000::9"],
  ],
];

const requests: readonly Case[] = [
  [
    "a requested one",
    [service("a", { age: 5 }), service("b", { wants: "203.0.113.128" })],
    ["a=203.0.113.129", "b=203.0.113.128"],
  ],
  [
    "a requested one that is taken",
    [service("a", { held: ["203.0.113.128"] }), service("b", { wants: "203.0.113.128" })],
    ["a=203.0.113.128", "b!AddressInUse"],
  ],
  ["a requested one outside the pool", [service("a", { wants: "192.0.2.1" })], ["a!AddressNotInPool"]],
  ["a request that is no address", [service("a", { wants: "203.0.113" })], ["a!AddressInvalid"]],
  ["a request of another family", [service("a", { wants: first6 })], ["a!AddressInvalid"]],
  [
    "another request than before",
    [service("a", { held: ["203.0.113.128"], wants: "203.0.113.131" })],
    ["a=203.0.113.131"],
  ],
  [
    "one address by annotation, the other family's is chosen",
    [service("a", { ipFamilies: dual, ...asks({ loadBalancerIPs: "2001:db8:203:113:8000::80" }) })],
    ["a=203.0.113.128,2001:db8:203:113:8000::80"],
  ],
  [
    "one of each family by annotation",
    [service("a", { ipFamilies: dual, ...asks({ loadBalancerIPs: `${first6}, 203.0.113.130` }) })],
    [`a=203.0.113.130,${first6}`],
  ],
  [
    "two of one family",
    [service("a", asks({ loadBalancerIPs: "203.0.113.130,203.0.113.131" }))],
    ["a!AddressInvalid"],
  ],
  [
    "field and annotation that disagree",
    [service("a", { wants: "203.0.113.130", ...asks({ loadBalancerIPs: "203.0.113.131" }) })],
    ["a!AddressInvalid"],
  ],
  [
    "field and annotation that agree",
    [service("a", { wants: "203.0.113.130", ...asks({ loadBalancerIPs: "203.0.113.130" }) })],
    ["a=203.0.113.130"],
  ],
];

const named: readonly Case[] = [
  [
    "pools are used in their order",
    ["a", "b", "c"].map((name) => service(name)),
    ["a=192.0.2.7", "b=192.0.2.8", "c=203.0.113.128"],
    several,
  ],
  [
    "a named pool, also one that gives out nothing unasked",
    [service("a", asks({ "address-pool": "large" })), service("b", asks({ "address-pool": "reserved" }))],
    ["a=203.0.113.128", "b=198.51.100.1"],
    several,
  ],
  [
    "an address of a pool that gives out nothing unasked",
    [service("a", { wants: "198.51.100.9" })],
    ["a=198.51.100.9"],
    several,
  ],
  ["a pool that is not there", [service("a", asks({ "address-pool": "big" }))], ["a!UnknownPool"], several],
  [
    "an address that is not of the named pool",
    [service("a", { wants: "203.0.113.128", ...asks({ "address-pool": "small" }) })],
    ["a!AddressNotInPool"],
    several,
  ],
  [
    "who names another pool moves",
    [service("a", { held: ["192.0.2.7"], ...asks({ "address-pool": "large" }) })],
    ["a=203.0.113.128"],
    several,
  ],
  [
    "the former prefix is followed",
    [service("a", { annotations: { "metallb.universe.tf/address-pool": "large" } })],
    ["a=203.0.113.128"],
    several,
  ],
];

const wantsFirst = { wants: "203.0.113.128" };
const sharing: readonly Case[] = [
  [
    "Services with one key and other ports share, without being asked to",
    [
      service("a", key("k")),
      service("b", { port: 443, ...key("k") }),
      service("c", { port: 53, ...key("l") }),
    ],
    ["a=203.0.113.128", "b=203.0.113.128", "c=203.0.113.129"],
  ],
  [
    "one port of two protocols",
    [service("a", { port: 53, ...key("k") }), service("b", { port: 53, protocol: "UDP", ...key("k") })],
    ["a=203.0.113.128", "b=203.0.113.128"],
  ],
  [
    "a common port keeps them apart",
    [service("a", key("k")), service("b", key("k"))],
    ["a=203.0.113.128", "b=203.0.113.129"],
  ],
  [
    "a common port forbids the address that is asked for",
    [service("a", { ...wantsFirst, ...key("k") }), service("b", { ...wantsFirst, ...key("k") })],
    ["a=203.0.113.128", "b!NotShareable"],
  ],
  [
    "another key, and none",
    [
      service("a", { ...wantsFirst, ...key("k") }),
      service("b", { ...wantsFirst, port: 81, ...key("l") }),
      service("c", { ...wantsFirst, port: 82 }),
    ],
    ["a=203.0.113.128", "b!NotShareable", "c!AddressInUse"],
  ],
  [
    "externalTrafficPolicy Local with the same selector",
    [
      service("a", { localTo: "web", ...wantsFirst, ...key("k") }),
      service("b", { localTo: "web", port: 81, ...wantsFirst, ...key("k") }),
      service("c", { localTo: "db", port: 82, ...wantsFirst, ...key("k") }),
      service("d", { localTo: "web", port: 83, namespace: "x", ...wantsFirst, ...key("k") }),
    ],
    ["a=203.0.113.128", "b=203.0.113.128", "c!NotShareable", "d!NotShareable"],
  ],
  [
    "those who share keep the address; who gets a common port leaves",
    [
      service("a", { held: ["203.0.113.130"], age: 9, ...key("k") }),
      service("b", { held: ["203.0.113.130"], port: 443, age: 8, ...key("k") }),
      service("c", { held: ["203.0.113.130"], ...key("k") }),
    ],
    ["a=203.0.113.130", "b=203.0.113.130", "c=203.0.113.128"],
  ],
];

for (const [what, services, expected, from] of [choice, classes, families, requests, named, sharing].flat()) {
  test(`addresses: ${what}`, () => assert.deepEqual(outcome(services, from), expected));
}

test("however much an annotation asks for, there is one short answer", () => {
  for (const text of [`${"203.0.113.129,".repeat(50_000)}203.0.113.130`, "x".repeat(200_000)]) {
    const [decision] = planAddresses(
      [service("a", asks({ loadBalancerIPs: text, "address-pool": "" }))],
      pools,
    );
    assert.deepEqual([decision?.problems.length, decision?.problems[0]?.reason], [1, "AddressInvalid"]);
    assert.ok((decision?.problems[0]?.message ?? "").length < 250);
  }
});

test("each refusal says what, where and what to do", () => {
  const messages = (services: readonly Service[], from = several): string[] =>
    planAddresses(services, from).flatMap(({ problems }) => problems.map(({ message }) => message));
  assert.deepEqual(messages([service("a", asks({ "address-pool": "big" }))]), [
    "there is no address pool big; write one of small (192.0.2.7-192.0.2.8), reserved (198.51.100.0/28, 2001:db8:51::/64), large (203.0.113.128/30) in the annotation address-pool, or add the pool to loadBalancer.pools of the configuration file",
  ]);
  assert.deepEqual(messages([service("a", { ipFamilies: dual, wants: "192.0.2.7" })]), [
    "no address pool gives out IPv6 addresses; add some to a pool, or take IPv6 out of spec.ipFamilies",
  ]);
  assert.deepEqual(messages([service("a", asks({ loadBalancerIPs: "203.0.113.1" }))]), [
    "annotation metallb.io/loadBalancerIPs: 203.0.113.1 is not in the pools small (192.0.2.7-192.0.2.8), reserved (198.51.100.0/28, 2001:db8:51::/64), large (203.0.113.128/30); ask for one that is, or for none",
  ]);
  const port80 = { wants: "192.0.2.7", ...key("k") };
  assert.deepEqual(messages([service("a", port80), service("b", port80)]), [
    "spec.loadBalancerIP: 192.0.2.7 belongs to Service shop/a and cannot be shared with it: both have the port 80/TCP; change that, or ask for another address",
  ]);
});
