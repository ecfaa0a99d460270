import assert from "node:assert/strict";
import { test } from "node:test";
import { array, assert as check, asyncProperty, constantFrom, record } from "fast-check";
import { canonicalAddress, familyOf } from "#lib/ip";
import { createTestApi } from "./testing.ts";
import type { Answer, TestApi } from "./testing.ts";

const SERVICES = "/api/v1/namespaces/default/services";
const ADDRESSES = "/apis/networking.k8s.io/v1/ipaddresses";

interface Service {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly clusterIPs?: readonly string[];
    readonly ipFamilies?: readonly string[];
    readonly ipFamilyPolicy?: string;
  };
}

const items = async <T>(api: TestApi, path: string): Promise<readonly T[]> =>
  (await api.call("GET", path)).body["items"] as T[];

interface Step {
  readonly verb: "create" | "change" | "delete";
  readonly name: string;
  readonly policy: string;
  readonly families: readonly string[] | undefined;
  readonly address: string | undefined;
  readonly type: string;
}

const step = record<Step>({
  verb: constantFrom("create", "change", "delete"),
  name: constantFrom("a", "b", "c", "d"),
  policy: constantFrom("SingleStack", "PreferDualStack", "RequireDualStack"),
  families: constantFrom(undefined, ["IPv4"], ["IPv6"], ["IPv4", "IPv6"], ["IPv6", "IPv4"]),
  address: constantFrom(undefined, "None", "10.96.0.9", "fd00:10:96::9", "fd00:10:96:0::9", "10.97.0.1"),
  type: constantFrom("ClusterIP", "ExternalName"),
});

function act(api: TestApi, { verb, name, policy, families, address, type }: Step): Promise<Answer> {
  const external = type === "ExternalName" ? { type, externalName: "example.com" } : { type };
  const familied = families === undefined ? {} : { ipFamilies: families };
  const spec = { ...external, ...familied, ipFamilyPolicy: policy };
  if (verb === "delete") return api.call("DELETE", `${SERVICES}/${name}`);
  if (verb === "change") return api.call("PATCH", `${SERVICES}/${name}`, { spec });
  const addressed = address === undefined ? {} : { clusterIP: address };
  return api.call("POST", SERVICES, {
    metadata: { name },
    spec: { ...spec, ...addressed, ports: [{ port: 80 }] },
  });
}

test("whatever is asked for, no address is held twice, each has its IPAddress, and families fit the policy", async () => {
  await check(
    asyncProperty(array(step, { maxLength: 12 }), async (steps) => {
      const api = createTestApi({ serviceCIDRs: ["10.96.0.0/16", "fd00:10:96::/112"] });
      for (const one of steps) {
        const { status } = await act(api, one);
        assert.ok([200, 201, 404, 409, 422].includes(status), `${JSON.stringify(one)}: ${status}`);
        const services = await items<Service>(api, SERVICES);
        const held = services
          .flatMap(({ spec }) => spec.clusterIPs ?? [])
          .filter((address) => address !== "None")
          .map((address) => canonicalAddress(address) ?? "");
        assert.equal(new Set(held).size, held.length);
        const shown = (await items<Service>(api, ADDRESSES)).map(({ metadata }) => metadata.name);
        assert.deepEqual(shown.toSorted(byText), held.toSorted(byText));
        for (const { spec } of services) assertFamilies(spec);
      }
      api.server.close();
    }),
    { numRuns: 100 },
  );
});

function assertFamilies({ clusterIPs, ipFamilies = [], ipFamilyPolicy }: Service["spec"]): void {
  if (clusterIPs === undefined) return assert.deepEqual([ipFamilies, ipFamilyPolicy], [[], undefined]);
  assert.equal(ipFamilies.length, ipFamilyPolicy === "SingleStack" ? 1 : 2);
  if (clusterIPs[0] !== "None") assert.deepEqual(clusterIPs.map(familyOf), ipFamilies);
}

const byText = (a: string, b: string): number => (a < b ? -1 : Number(a > b));
