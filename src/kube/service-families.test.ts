import assert from "node:assert/strict";
import { test } from "node:test";
import type { IpFamily } from "#lib/ip";
import type { JsonObject } from "./json.ts";
import { resolveFamilies } from "./service-families.ts";

const single: readonly IpFamily[] = ["IPv4"];
const dual: readonly IpFamily[] = ["IPv4", "IPv6"];
const selector = { app: "web" };

/** `policy families`, or what is wrong. */
function resolved(spec: JsonObject, configured: readonly IpFamily[], old?: JsonObject): string {
  const { spec: got, errors } = resolveFamilies({ selector, ...spec }, old, configured);
  if (errors.length > 0) return errors.map(({ field, message }) => `${field}: ${message}`).join("; ");
  return `${String(got["ipFamilyPolicy"])} ${String(got["ipFamilies"])}`;
}

const only = { clusterIP: "10.96.0.9", clusterIPs: ["10.96.0.9"] };
const six = { clusterIP: "fd00::9", clusterIPs: ["fd00::9"] };
const prefer = { ipFamilyPolicy: "PreferDualStack" };
const require = { ipFamilyPolicy: "RequireDualStack" };
const headless = { clusterIP: "None", clusterIPs: ["None"] };
const open = { ...headless, selector: undefined };

const table: readonly (readonly [string, JsonObject, readonly IpFamily[], string])[] = [
  ["nothing asked for: the default family", {}, dual, "SingleStack IPv4"],
  ["the default family may be IPv6", {}, ["IPv6", "IPv4"], "SingleStack IPv6"],
  ["a family by name", { ipFamilies: ["IPv6"] }, dual, "SingleStack IPv6"],
  ["a family by address", six, dual, "SingleStack IPv6"],
  ["two where there are two", prefer, dual, "PreferDualStack IPv4,IPv6"],
  ["the family named first leads", { ...prefer, ipFamilies: ["IPv6"] }, dual, "PreferDualStack IPv6,IPv4"],
  ["two preferred where there is one", prefer, single, "PreferDualStack IPv4"],
  ["two required", { ...require, ...only }, dual, "RequireDualStack IPv4,IPv6"],
  ["headless like others", { ...headless, ...prefer }, dual, "PreferDualStack IPv4,IPv6"],
  ["headless without selector: both, on any cluster", open, single, "RequireDualStack IPv4,IPv6"],
  [
    "headless without selector, one asked for",
    { ...open, ipFamilyPolicy: "SingleStack" },
    dual,
    "SingleStack IPv4",
  ],
  ["ExternalName has none", { type: "ExternalName" }, dual, "undefined undefined"],
  [
    "two required where there is one",
    require,
    single,
    'spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services',
  ],
  [
    "a family that the cluster has not",
    { ipFamilies: ["IPv6"] },
    single,
    'spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster',
  ],
  [
    "an address of a family that the cluster has not",
    six,
    single,
    'spec.clusterIPs[0]: Invalid value: ["fd00::9"]: IPv6 is not configured on this cluster',
  ],
  [
    "two families without a policy for two",
    { ipFamilies: ["IPv6", "IPv4"] },
    dual,
    "spec.ipFamilyPolicy: Invalid value: \"SingleStack\": must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified",
  ],
  [
    "an address that is not of the family named",
    { ...prefer, ...only, ipFamilies: ["IPv6", "IPv4"] },
    dual,
    'spec.clusterIPs[0]: Invalid value: "10.96.0.9": expected an IPv6 value as indicated by `ipFamilies[0]`',
  ],
];

for (const [what, spec, configured, expected] of table) {
  test(`families of a Service: ${what}`, () => assert.equal(resolved(spec, configured), expected));
}

test("a Service that prefers two families keeps its one when the cluster gets a second one", () => {
  const held = { ...only, ...prefer, ipFamilies: ["IPv4"] };
  assert.equal(resolved(held, dual, held), "PreferDualStack IPv4");
  assert.equal(resolved({ ...held, ...require }, dual, held), "RequireDualStack IPv4,IPv6");
});
