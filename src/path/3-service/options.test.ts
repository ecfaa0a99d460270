import assert from "node:assert/strict";
import { test } from "node:test";
import type { PodModel, Snapshot } from "#model";
import { formatRecord, rcodeName } from "#wire/dns";
import type { ZoneOptions } from "./options.ts";
import { planZone } from "./plan.ts";
import { cluster, endpoint, port, service } from "./testing.ts";

const svc = "svc.cluster.local.";

function withServices(...services: readonly ReturnType<typeof service>[]): Snapshot {
  const added = services.map((one) => [`${one.namespace}/${one.name}`, one] as const);
  return { ...cluster, services: new Map([...cluster.services, ...added]) };
}

/** Records of the answer as text, or its code where there are none. */
function ask(name: string, type: string, options: ZoneOptions, snapshot: Snapshot = cluster): string[] {
  const answer = planZone(snapshot, 1, options).answer(name, type);
  if (answer === "forward") return ["forward"];
  const records = (answer.reply.answers ?? []).map(formatRecord);
  return records.length > 0 ? records : [rcodeName(answer.reply.rcode)];
}

test("the TTL is what was chosen, also in the SOA; the version keeps its own", () => {
  assert.deepEqual(ask(`api-service.default.${svc}`, "A", { ttl: 30 }), [
    `api-service.default.${svc} 30 IN A 10.96.1.1`,
  ]);
  assert.match(ask("cluster.local.", "SOA", { ttl: 30 })[0] ?? "", / 30 IN SOA .* 30$/);
  assert.match(ask("dns-version.cluster.local.", "TXT", { ttl: 30 })[0] ?? "", / 28800 /);
  const denial = planZone(cluster, 1, { ttl: 0 }).answer(`none.default.${svc}`, "A");
  assert.ok(denial !== "forward");
  assert.deepEqual(
    denial.reply.authorities?.map(({ ttl }) => ttl),
    [0],
  );
});

const client = cluster.pods.get("default/client");
assert.ok(client !== undefined);
const owned = (address: string): Snapshot => ({
  ...cluster,
  podsByAddress: new Map<string, PodModel>([[address, client]]),
});

test("names of pods: not at all, any address, or addresses of the namespace's own pods", () => {
  const name = "10-244-1-3.default.pod.cluster.local.";
  const found = [`${name} 5 IN A 10.244.1.3`];
  const known = owned("10.244.1.3");
  assert.deepEqual(ask(name, "A", { pods: "disabled" }, known), ["NXDOMAIN"]);
  assert.deepEqual(ask(name, "A", { pods: "insecure" }), found);
  assert.deepEqual(ask(name, "A", { pods: "verified" }), ["NXDOMAIN"]);
  assert.deepEqual(ask(name, "A", { pods: "verified" }, known), found);
  const elsewhere = "10-244-1-3.kube-system.pod.cluster.local.";
  assert.deepEqual(ask(elsewhere, "A", { pods: "verified" }, known), ["NXDOMAIN"]);
});

test("an IPv6 pod is named with dashes, too", () => {
  const name = "fd00--5.default.pod.cluster.local.";
  for (const pods of ["insecure", "verified"] as const) {
    assert.deepEqual(ask(name, "AAAA", { pods }, owned("fd00::5")), [`${name} 5 IN AAAA fd00::5`]);
  }
  assert.deepEqual(ask(name, "A", { pods: "insecure" }), ["NOERROR"]);
});

const members = [
  endpoint("10.244.0.21", { pod: { namespace: "default", name: "db-abc" }, zone: "Zone-a.1" }),
  endpoint("10.244.1.21", { pod: { namespace: "default", name: "x".repeat(64) } }),
  endpoint("10.244.1.22", { hostname: "db-2", pod: { namespace: "default", name: "db-xyz" }, zone: "b" }),
];
const named = withServices(
  service("default/members", { headless: true, ports: [port("sql", 5432, { endpoints: members })] }),
);

test("endpoints without a hostname can be named after their pods, where that makes a label", () => {
  const targets = (options: ZoneOptions): string[] =>
    ask(`members.default.${svc}`, "SRV", options, named).map((line) => line.split(" ").at(-1) ?? "");
  const dashed = ["10-244-0-21", "10-244-1-21", "db-2"].map((label) => `${label}.members.default.${svc}`);
  assert.deepEqual(targets({}), dashed);
  assert.deepEqual(targets({ endpointPodNames: true }), [
    `db-abc.members.default.${svc}`,
    ...dashed.slice(1),
  ]);
  assert.deepEqual(ask(`db-abc.members.default.${svc}`, "A", { endpointPodNames: true }, named), [
    `db-abc.members.default.${svc} 5 IN A 10.244.0.21`,
  ]);
});

test("a Service without a ready endpoint can be made to vanish; headless ones and aliases do not depend on it", () => {
  const options = { ignoreEmptyService: true };
  assert.deepEqual(ask(`unnamed.default.${svc}`, "A", options), ["NXDOMAIN"]);
  assert.equal(ask(`api-service.default.${svc}`, "A", options).length, 1);
  assert.equal(ask(`db.default.${svc}`, "A", options).length, 3);
  assert.equal(ask(`outside.default.${svc}`, "CNAME", options).length, 1);
});

test("hosts of Ingresses can be left to the upstream", () => {
  assert.deepEqual(ask("api.hadywafa.com.", "A", { publicNames: "forward" }), ["forward"]);
});

test("only the chosen namespaces have names, forward and reverse", () => {
  const options = { namespaces: ["default"] };
  assert.equal(ask(`api-service.default.${svc}`, "A", options).length, 1);
  for (const name of [`kube-dns.kube-system.${svc}`, `kube-system.${svc}`]) {
    assert.deepEqual(ask(name, "A", options), ["NXDOMAIN"]);
  }
  assert.deepEqual(ask("10.0.96.10.in-addr.arpa.", "PTR", options), ["forward"]);
});

test("zonal names pin a headless Service to a zone, or prefer it", () => {
  const at = (name: string, options: ZoneOptions = { zonal: true }): string[] =>
    ask(`${name}._zone.members.default.${svc}`, "A", options, named).map(
      (line) => line.split(" ").at(-1) ?? "",
    );
  assert.deepEqual(at("b.pin"), ["10.244.1.22"]);
  assert.deepEqual(at("zone-a.1.pin"), ["10.244.0.21"]);
  assert.deepEqual(at("none.pin"), ["NOERROR"]);
  assert.deepEqual(at("none.prefer"), ["10.244.0.21", "10.244.1.21", "10.244.1.22"]);
  assert.deepEqual(at("b.prefer"), ["10.244.1.22"]);
  assert.deepEqual(at("b.other"), ["NXDOMAIN"]);
  assert.deepEqual(at("b.pin", {}), ["NXDOMAIN"]);
  assert.deepEqual(ask(`b.pin._zone.api-service.default.${svc}`, "A", { zonal: true }), ["NXDOMAIN"]);
});

const both = withServices(
  service("default/six", {
    headless: true,
    ports: [
      port("http", 80, {
        endpoints: [endpoint("10.244.0.30"), endpoint("fd00:244::"), endpoint("fd00:244::1e")],
      }),
    ],
  }),
  service("default/bare", { clusterIPs: ["10.96.1.40", "fd00:96::40"] }),
);

test("a dual-stack headless Service has A and AAAA records, and a name for each address", () => {
  const name = `six.default.${svc}`;
  assert.deepEqual(ask(name, "A", {}, both), [`${name} 5 IN A 10.244.0.30`]);
  assert.deepEqual(ask(name, "AAAA", {}, both), [
    `${name} 5 IN AAAA fd00:244::`,
    `${name} 5 IN AAAA fd00:244::1e`,
  ]);
  // A label may not end with a dash.
  assert.deepEqual(ask(`fd00-244--0.${name}`, "AAAA", {}, both), [
    `fd00-244--0.${name} 5 IN AAAA fd00:244::`,
  ]);
  assert.deepEqual(ask(`${"e.1." + "0.".repeat(22)}4.4.2.0.0.0.d.f.ip6.arpa.`, "PTR", {}, both), [
    `e.1.${"0.".repeat(22)}4.4.2.0.0.0.d.f.ip6.arpa. 5 IN PTR fd00-244--1e.${name}`,
  ]);
});

test("a Service without ports has addresses, but no SRV records", () => {
  assert.deepEqual(ask(`bare.default.${svc}`, "AAAA", {}, both), [
    `bare.default.${svc} 5 IN AAAA fd00:96::40`,
  ]);
  assert.deepEqual(ask(`bare.default.${svc}`, "SRV", {}, both), ["NOERROR"]);
});
