import assert from "node:assert/strict";
import { test } from "node:test";
import { array, assert as check, boolean, integer, property, record, tuple } from "fast-check";
import type { Pod, Service } from "./objects.ts";
import type { EndpointSlice, SlicesPlan } from "./slice-packing.ts";
import { planSlices, type ServiceSlicesPlan, type SlicesInput } from "./slices-plan.ts";

interface Traits {
  ready?: boolean;
  ending?: boolean;
  phase?: string;
  port?: number;
  spec?: object;
}

function pod(
  index: number,
  { ready = true, ending = false, phase = "Running", port = 8080, spec = {} }: Traits = {},
): Pod {
  return {
    metadata: {
      name: `p${index}`,
      namespace: "shop",
      uid: `u${index}`,
      creationTimestamp: `2026-01-01T00:00:00Z`,
      ...(ending ? { deletionTimestamp: "2026-01-01T00:00:09Z" } : {}),
    },
    spec: {
      nodeName: "node-a",
      containers: [{ name: "c", ports: [{ name: "http", containerPort: port }] }],
      ...spec,
    },
    status: {
      phase,
      podIPs: [
        { ip: `10.244.${Math.trunc(index / 250)}.${(index % 250) + 1}` },
        { ip: `fd00::${(index + 1).toString(16)}` },
      ],
      conditions: [{ type: "Ready", status: ready ? "True" : "False" }],
    },
  };
}

function service(spec: object = {}, labels: Record<string, string> = {}): Service {
  return {
    metadata: { name: "api", namespace: "shop", uid: "s1", labels },
    spec: {
      selector: { app: "api" },
      ports: [{ name: "web", port: 80, targetPort: "http", protocol: "TCP" }],
      ...spec,
    },
  };
}

const nothing: SlicesPlan = { create: [], update: [], remove: [] };

function plan(input: Partial<SlicesInput> & { pods: readonly Pod[] }): ServiceSlicesPlan {
  return planSlices({
    service: service(),
    nodes: () => undefined,
    zoneShares: () => "not asked for",
    slices: [],
    triggerTime: undefined,
    maxEndpoints: 100,
    ...input,
  });
}

let made = 0;

/** The slices as a server has them after a plan was carried out. */
function carriedOut(
  slices: readonly EndpointSlice[],
  { create, update, remove }: SlicesPlan,
): EndpointSlice[] {
  const kept = slices
    .filter((slice) => !remove.includes(slice))
    .map((slice) => update.find((one) => one.metadata?.name === slice.metadata?.name) ?? slice);
  const added = create.map((slice) => {
    made += 1;
    const metadata = { ...slice.metadata, name: `api-${made}`, creationTimestamp: `2026-01-01T00:00:00Z` };
    return { ...slice, metadata };
  });
  return [...kept, ...added];
}

const sizes = (slices: readonly EndpointSlice[]): number[] =>
  slices.map(({ endpoints }) => endpoints?.length ?? 0);
const flags = (slice: EndpointSlice | undefined): string =>
  (slice?.endpoints ?? [])
    .map(({ conditions }) => [
      conditions?.ready && "ready",
      conditions?.serving && "serving",
      conditions?.terminating && "terminating",
    ])
    .map((words) => words.filter(Boolean).join("+"))
    .join(" ");

const states: readonly [string, Pod, publish: boolean, expected: string][] = [
  ["ready", pod(0), false, "ready+serving"],
  ["not ready", pod(0, { ready: false }), false, ""],
  ["terminating", pod(0, { ending: true }), false, "serving+terminating"],
  ["terminating and not ready", pod(0, { ending: true, ready: false }), false, "terminating"],
  ["not ready, published", pod(0, { ready: false }), true, "ready"],
  ["terminating, published", pod(0, { ending: true }), true, "ready+serving+terminating"],
];

for (const [what, one, publishNotReadyAddresses, expected] of states) {
  test(`endpoint: ${what}`, () => {
    const { create } = plan({ service: service({ publishNotReadyAddresses }), pods: [one] });
    assert.equal(create[0]?.endpoints?.length, 1);
    assert.equal(flags(create[0]), expected);
  });
}

for (const phase of ["Succeeded", "Failed"]) {
  test(`endpoint: none for a pod that has ${phase.toLowerCase()}`, () => {
    assert.deepEqual(sizes(plan({ pods: [pod(0, { phase })] }).create), [0]);
  });
}

test("a slice names its Service, manager and owner; labels with a meaning of their own are not copied", () => {
  const labels = { team: "x", "kubernetes.io/service-name": "fake", "service.kubernetes.io/headless": "no" };
  const { create } = plan({
    service: service({ clusterIP: "None" }, labels),
    pods: [pod(0)],
    triggerTime: "2026-01-01T00:00:01Z",
  });
  assert.deepEqual(create[0]?.metadata, {
    generateName: "api-",
    namespace: "shop",
    ownerReferences: [
      {
        apiVersion: "v1",
        kind: "Service",
        name: "api",
        uid: "s1",
        controller: true,
        blockOwnerDeletion: true,
      },
    ],
    labels: {
      team: "x",
      "kubernetes.io/service-name": "api",
      "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
      "service.kubernetes.io/headless": "",
    },
    annotations: { "endpoints.kubernetes.io/last-change-trigger-time": "2026-01-01T00:00:01Z" },
  });
  assert.deepEqual(create[0]?.ports, [{ name: "web", protocol: "TCP", port: 8080 }]);
});

test("a named port that differs per pod makes a slice for each number, and one without ports for pods that lack it", () => {
  const lacking = pod(2, { spec: { containers: [{ name: "c" }] } });
  const { create } = plan({ pods: [pod(0), pod(1, { port: 9090 }), lacking] });
  assert.deepEqual(
    create.map(({ ports, endpoints }) => [
      ports?.map(({ port }) => port),
      endpoints?.map(({ targetRef }) => targetRef?.name),
    ]),
    [
      [[8080], ["p0"]],
      [[9090], ["p1"]],
      [[], ["p2"]],
    ],
  );
});

const init = (restartPolicy?: string) => ({
  containers: [{ name: "c" }],
  initContainers: [{ name: "i", restartPolicy, ports: [{ name: "http", containerPort: 7070 }] }],
});
const portWith = (spec: object) => plan({ pods: [pod(0, { spec })] }).create[0]?.ports?.[0]?.port;
const hostnameBelow = (subdomain: string) =>
  plan({ pods: [pod(0, { spec: { hostname: "db-0", subdomain } })] }).create[0]?.endpoints?.[0]?.hostname;

test("a sidecar's named port counts, an ordinary init container's does not", () => {
  assert.deepEqual([portWith(init("Always")), portWith(init())], [7070, undefined]);
});

test("hostname only below a Service of the pod's subdomain", () => {
  assert.deepEqual([hostnameBelow("api"), hostnameBelow("other")], ["db-0", undefined]);
});

test("one set of slices per address family of the Service", () => {
  const { create } = plan({ service: service({ ipFamilies: ["IPv6", "IPv4"] }), pods: [pod(0)] });
  assert.deepEqual(
    create.map(({ addressType, endpoints }) => [addressType, endpoints?.[0]?.addresses]),
    [
      ["IPv6", ["fd00::1"]],
      ["IPv4", ["10.244.0.1"]],
    ],
  );
});

test("no endpoints: one empty slice, which the first endpoint then fills", () => {
  const empty = carriedOut([], plan({ pods: [] }));
  assert.deepEqual(sizes(empty), [0]);
  assert.deepEqual(plan({ pods: [], slices: empty }), { ...nothing, topology: [] });
  const { create, update, remove } = plan({ pods: [pod(0)], slices: empty });
  assert.deepEqual([create.length, sizes(update), remove.length], [0, [1], 0]);
});

test("new endpoints fill slices that change anyway, then new ones", () => {
  const pods = Array.from({ length: 6 }, (_, index) => pod(index));
  const slices = carriedOut([], plan({ pods: pods.slice(0, 4), maxEndpoints: 3 }));
  assert.deepEqual(sizes(slices), [3, 1]);
  const next = plan({ pods: pods.slice(1), slices, maxEndpoints: 3 });
  assert.deepEqual([next.create.length, sizes(next.update)], [0, [3, 2]]);
});

test("one change is one write", () => {
  const pods = Array.from({ length: 250 }, (_, index) => pod(index));
  const slices = carriedOut([], plan({ pods }));
  assert.deepEqual(sizes(slices), [100, 100, 50]);
  const { create, update, remove } = plan({ pods: pods.with(120, pod(120, { ready: false })), slices });
  assert.deepEqual([create.length, update.length, remove.length], [0, 1, 0]);
});

test("slices always hold exactly the pods, none twice, none over the limit, and a second look changes nothing", () => {
  const traits = record({ ready: boolean(), ending: boolean(), port: integer({ min: 1, max: 3 }) });
  const round = array(tuple(integer({ min: 0, max: 20 }), traits), { maxLength: 20 });
  check(
    property(
      array(round, { minLength: 1, maxLength: 4 }),
      integer({ min: 1, max: 5 }),
      (rounds, maxEndpoints) => {
        let slices: EndpointSlice[] = [];
        for (const entries of rounds) {
          const pods = [...new Map(entries).entries()].map(([index, one]) => pod(index, one));
          slices = carriedOut(slices, plan({ pods, slices, maxEndpoints }));
          const names = slices.flatMap(({ endpoints }) =>
            (endpoints ?? []).map(({ targetRef }) => targetRef?.name ?? ""),
          );
          assert.deepEqual(names.toSorted(), pods.map(({ metadata }) => metadata?.name ?? "").toSorted());
          for (const size of sizes(slices)) assert.ok(size <= maxEndpoints);
          assert.deepEqual(plan({ pods, slices, maxEndpoints }), { ...nothing, topology: [] });
        }
      },
    ),
    { numRuns: 200 },
  );
});

const distributions: readonly [string | undefined, zones: boolean, nodes: boolean][] = [
  [undefined, false, false],
  ["PreferClose", true, false],
  ["PreferSameZone", true, false],
  ["PreferSameNode", true, true],
];

for (const [trafficDistribution, zones, nodes] of distributions) {
  test(`hints: ${trafficDistribution ?? "none"}`, () => {
    const zoned = { metadata: { name: "node-a", labels: { "topology.kubernetes.io/zone": "z1" } } };
    const { create } = plan({
      service: service(trafficDistribution === undefined ? {} : { trafficDistribution }),
      pods: [pod(0), pod(1, { ready: false })],
      nodes: () => zoned,
    });
    const hints = {
      ...(zones ? { forZones: [{ name: "z1" }] } : {}),
      ...(nodes ? { forNodes: [{ name: "node-a" }] } : {}),
    };
    assert.deepEqual(create[0]?.endpoints?.[0]?.hints, zones ? hints : undefined);
    assert.equal(create[0]?.endpoints?.[1]?.hints, undefined);
  });
}

test("hints: topology aware routing goes before trafficDistribution, in each family by itself", () => {
  const zoned = (name: string) => ({ metadata: { name, labels: { "topology.kubernetes.io/zone": name } } });
  const auto = service({ trafficDistribution: "PreferSameNode", ipFamilies: ["IPv4", "IPv6"] });
  const annotated = {
    ...auto,
    metadata: { ...auto.metadata, annotations: { "service.kubernetes.io/topology-mode": "Auto" } },
  };
  const input = { service: annotated, pods: [pod(0), pod(1)], nodes: zoned };
  const { create, topology } = plan({
    ...input,
    zoneShares: () =>
      new Map([
        ["node-a", 0.5],
        ["node-b", 0.5],
      ]),
  });
  const hints = create.map(({ endpoints }) => endpoints?.map((one) => one.hints));
  const expected = [{ forZones: [{ name: "node-a" }] }, { forZones: [{ name: "node-b" }] }];
  assert.deepEqual(hints, [expected, expected]);
  const why = "Topology Aware Hints has been enabled";
  assert.deepEqual(topology, [
    { family: "IPv4", works: true, why },
    { family: "IPv6", works: true, why },
  ]);
  const failed = plan({ ...input, zoneShares: () => "why not" });
  assert.deepEqual(failed.create[0]?.endpoints?.[0]?.hints, undefined);
  assert.deepEqual(failed.topology[0], { family: "IPv4", works: false, why: "why not" });
});
