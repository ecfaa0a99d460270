/** What holds for load-balancer addresses whatever Services there are. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { isInRange, parseRange } from "#lib/ip-range";
import { addressesOf } from "./address-demand.ts";
import { planAddresses, type AddressDecision } from "./address-plan.ts";
import type { Service } from "./objects.ts";

const pools = [
  { name: "small", addresses: ["192.0.2.6-192.0.2.9", "2001:db8::/126"], autoAssign: true },
  { name: "other", addresses: ["198.51.100.0/30"], autoAssign: false },
];
const some = ["192.0.2.6", "192.0.2.7", "192.0.2.0", "198.51.100.1", "2001:db8::1", "2001:db8::2"];
const lists = fc.uniqueArray(fc.constantFrom(...some), { maxLength: 2 });

const one = fc.record({
  families: fc.constantFrom<string[][]>(["IPv4"], ["IPv6"], ["IPv4", "IPv6"]),
  held: lists,
  wants: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, lists),
  pool: fc.constantFrom("", "", "small", "other", "missing"),
  key: fc.constantFrom("", "k", "l"),
  ports: fc.uniqueArray(fc.integer({ min: 80, max: 83 }), { minLength: 1, maxLength: 2 }),
  local: fc.boolean(),
  app: fc.constantFrom("web", "db"),
  type: fc.constantFrom("LoadBalancer", "LoadBalancer", "LoadBalancer", "ClusterIP"),
  second: fc.integer({ min: 0, max: 3 }),
});
type Drawn = typeof one extends fc.Arbitrary<infer T> ? T : never;

function serviceOf(drawn: Drawn, index: number): Service {
  return {
    metadata: {
      ...{ name: `s${index}`, namespace: "default" },
      creationTimestamp: `2026-01-01T00:00:0${drawn.second}Z`,
      annotations: {
        "metallb.io/loadBalancerIPs": drawn.wants.join(),
        "metallb.io/address-pool": drawn.pool,
        "metallb.universe.tf/allow-shared-ip": drawn.key,
      },
    },
    spec: {
      type: drawn.type,
      ipFamilies: drawn.families,
      ports: drawn.ports.map((port) => ({ port })),
      selector: { app: drawn.app },
      externalTrafficPolicy: drawn.local ? "Local" : "Cluster",
    },
    status: { loadBalancer: { ingress: drawn.held.map((ip) => ({ ip })) } },
  };
}

const services = fc.array(one, { maxLength: 9 }).map((drawn) => drawn.map(serviceOf));

/** The Services as they are when the plan has been carried out. */
function carriedOut(before: readonly Service[], plan: readonly AddressDecision[]): Service[] {
  const planned = new Map(plan.map(({ service, addresses }) => [service, addresses]));
  return before.map((service) => {
    const addresses = planned.get(service) ?? addressesOf(service);
    return { ...service, status: { loadBalancer: { ingress: addresses.map((ip) => ({ ip })) } } };
  });
}

const byName = (plan: readonly AddressDecision[]) =>
  new Map(plan.map(({ service, addresses, problems }) => [service.metadata?.name, { addresses, problems }]));

/** MetalLB's three rules, once more. */
function mayShare(a: Service, b: Service): boolean {
  const of = ({ metadata, spec }: Service) => ({
    key: metadata?.annotations?.["metallb.universe.tf/allow-shared-ip"] ?? "",
    ports: new Set(spec?.ports?.map(({ port }) => port)),
    local: spec?.externalTrafficPolicy === "Local",
    app: spec?.selector?.["app"],
  });
  const [x, y] = [of(a), of(b)];
  return (
    x.key !== "" &&
    x.key === y.key &&
    x.ports.isDisjointFrom(y.ports) &&
    (x.app === y.app || (!x.local && !y.local))
  );
}

test("no two Services have one address, unless they may share it, and all addresses are of the pools", () => {
  fc.assert(
    fc.property(services, (drawn) => {
      const plan = planAddresses(drawn, pools);
      const ranges = pools.flatMap(({ addresses }) => addresses.flatMap((text) => parseRange(text) ?? []));
      for (const [index, { service, addresses }] of plan.entries()) {
        for (const address of addresses) {
          assert.ok(ranges.some((range) => isInRange(address, range)));
          for (const other of plan.slice(index + 1)) {
            if (other.addresses.includes(address)) assert.ok(mayShare(service, other.service));
          }
        }
      }
    }),
  );
});

test("who has an address keeps it, whoever comes: a plan carried out plans itself again", () => {
  fc.assert(
    fc.property(services, one, (drawn, late) => {
      const settled = carriedOut(drawn, planAddresses(drawn, pools));
      const again = planAddresses(settled, pools);
      for (const { service, addresses } of again) assert.deepEqual(addresses, addressesOf(service));
      const newcomer = serviceOf({ ...late, held: [] }, drawn.length);
      const withNewcomer = byName(planAddresses([newcomer, ...settled], pools));
      for (const { service, addresses } of again) {
        assert.deepEqual(withNewcomer.get(service.metadata?.name)?.addresses, addresses);
      }
    }),
  );
});

test("the order in which Services are listed does not matter", () => {
  fc.assert(
    fc.property(services, (drawn) => {
      assert.deepEqual(byName(planAddresses(drawn.toReversed(), pools)), byName(planAddresses(drawn, pools)));
    }),
  );
});

test("whoever has fewer addresses than families is told why", () => {
  fc.assert(
    fc.property(services, (drawn) => {
      for (const { service, addresses, problems } of planAddresses(drawn, pools)) {
        if (service.spec?.type !== "LoadBalancer") continue;
        const missing = (service.spec.ipFamilies ?? []).length - addresses.length;
        assert.equal(missing > 0, problems.length > 0);
      }
    }),
  );
});
