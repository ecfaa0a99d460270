/** Which address families a Service has: the rules of the API server's Service registry (KEP-563, dual stack). */
import { familyOf, type IpFamily } from "#lib/ip";
import { listAt, objectAt, sameJson, textOf, type JsonObject } from "./json.ts";
import { invalid, type FieldError } from "./validation/errors.ts";
import { clusterAddressErrors } from "./validation/service-addresses.ts";

export interface FamilyDecision {
  /** The spec with `ipFamilyPolicy` and `ipFamilies` as they are to be stored; meaningless if there are errors. */
  readonly spec: JsonObject;
  readonly errors: readonly FieldError[];
}

/**
 * Fills in the families of a Service, or says what is wrong with those that it asks for.
 * @param old the spec that this one replaces
 * @param configured the families that the cluster has Service addresses of, the default one first
 */
export function resolveFamilies(
  spec: JsonObject,
  old: JsonObject | undefined,
  configured: readonly IpFamily[],
): FamilyDecision {
  if (spec["type"] === "ExternalName" || isUntouchedPreference(spec, old)) return { spec, errors: [] };
  const withPolicy = { ...spec, ipFamilyPolicy: spec["ipFamilyPolicy"] ?? defaultPolicy(spec) };
  const malformed = clusterAddressErrors(withPolicy);
  if (malformed.length > 0) return { spec, errors: malformed };
  const asked = askedFamilies(withPolicy, configured);
  const errors =
    asked.errors.length > 0 || isOpen(spec)
      ? asked.errors
      : unservable(withPolicy, asked.families, configured);
  if (errors.length > 0) return { spec, errors };
  const [first = configured[0] ?? "IPv4"] = asked.families;
  const wantsBoth = withPolicy.ipFamilyPolicy !== "SingleStack";
  const both = wantsBoth && (isOpen(spec) || configured.length > 1);
  const families =
    asked.families.length > 1 || !both ? [first, ...asked.families.slice(1)] : [first, other(first)];
  return { spec: { ...withPolicy, ipFamilies: families }, errors: [] };
}

const other = (family: string): IpFamily => (family === "IPv4" ? "IPv6" : "IPv4");

/** A headless Service without selector: its endpoints are made by hand, so that nobody can tell their families. */
function isOpen(spec: JsonObject): boolean {
  return spec["clusterIP"] === "None" && Object.keys(objectAt(spec, "selector")).length === 0;
}

const defaultPolicy = (spec: JsonObject): string => (isOpen(spec) ? "RequireDualStack" : "SingleStack");

/** A Service that prefers two families keeps what it has, even when the cluster has come to know another number of them. */
function isUntouchedPreference(spec: JsonObject, old: JsonObject | undefined): boolean {
  const fields = ["type", "ipFamilyPolicy", "ipFamilies", "clusterIPs"];
  return (
    old !== undefined &&
    spec["ipFamilyPolicy"] === "PreferDualStack" &&
    fields.every((field) => sameJson(spec[field], old[field]))
  );
}

/** The families that are asked for by name or by address. */
function askedFamilies(
  spec: JsonObject,
  configured: readonly IpFamily[],
): { families: readonly string[]; errors: FieldError[] } {
  const policy = spec["ipFamilyPolicy"];
  const addresses = listAt(spec, "clusterIPs").map(textOf);
  const families = listAt(spec, "ipFamilies").map(textOf);
  const errors: FieldError[] = [];
  const tooMany = (what: string): void => {
    const detail = `must be 'RequireDualStack' or 'PreferDualStack' when multiple ${what} are specified`;
    errors.push(invalid("spec.ipFamilyPolicy", policy, detail));
  };
  if (policy === "SingleStack" && addresses.length === 2) tooMany("cluster IPs");
  if (policy === "SingleStack" && families.length === 2) tooMany("IP families");
  for (const [index, address] of addresses.entries()) {
    if (address === "None" || index < families.length) continue;
    const family = familyOf(address);
    if (configured.includes(family)) families.push(family);
    else
      errors.push(
        invalid(`spec.clusterIPs[${index}]`, addresses, `${family} is not configured on this cluster`),
      );
  }
  return { families, errors };
}

/** What this cluster cannot give. */
function unservable(
  spec: JsonObject,
  families: readonly string[],
  configured: readonly IpFamily[],
): FieldError[] {
  const policy = spec["ipFamilyPolicy"];
  const errors: FieldError[] = [];
  if (policy === "RequireDualStack" && configured.length < 2) {
    errors.push(
      invalid("spec.ipFamilyPolicy", policy, "this cluster is not configured for dual-stack services"),
    );
  }
  families.forEach((family, index) => {
    if (configured.some((known) => known === family)) return;
    errors.push(invalid(`spec.ipFamilies[${index}]`, family, "not configured on this cluster"));
  });
  return errors;
}
