import { listAt, objectAt, textAt, textOf, type JsonObject } from "../json.ts";
import { addressErrors, addressFamily } from "./address.ts";
import { duplicate, invalid, notSupported, required, type FieldError } from "./errors.ts";

const families = ["IPv4", "IPv6"];
const policies = ["PreferDualStack", "RequireDualStack", "SingleStack"];
const unchangeable = "may not change once set";

/** What must hold between `clusterIP`, `clusterIPs`, `ipFamilies` and `ipFamilyPolicy` on any cluster. */
export function clusterAddressErrors(spec: JsonObject): FieldError[] {
  if (spec["type"] === "ExternalName") return [];
  const addresses = listAt(spec, "clusterIPs").map(textOf);
  const found = [...firstAddressErrors(spec, addresses), ...familyErrors(spec)];
  const malformed = addressTextErrors(addresses);
  if (addresses.length > 2) found.push(invalid("spec.clusterIPs", addresses, "may only hold up to 2 values"));
  if (malformed.length > 0) return [...found, ...malformed];
  if (addresses.length > 1 && new Set(addresses.map(addressFamily)).size !== addresses.length) {
    found.push(invalid("spec.clusterIPs", addresses, "may specify no more than one IP for each IP family"));
  }
  found.push(...mismatchErrors(spec, addresses));
  return found;
}

function firstAddressErrors(spec: JsonObject, addresses: readonly string[]): FieldError[] {
  const address = textAt(spec, "clusterIP");
  if (address === "") {
    return addresses.length === 0
      ? []
      : [invalid("spec.clusterIPs", addresses, "must be empty when `clusterIP` is not specified")];
  }
  if (addresses.length === 0) return [required("spec.clusterIPs")];
  return addresses[0] === address
    ? []
    : [invalid("spec.clusterIPs", addresses, "first value must match `clusterIP`")];
}

function familyErrors(spec: JsonObject): FieldError[] {
  const given = listAt(spec, "ipFamilies").map(textOf);
  const found = given.flatMap((family, index) => {
    const path = `spec.ipFamilies[${index}]`;
    return [
      ...(families.includes(family) ? [] : [notSupported(path, family, families)]),
      ...(given.indexOf(family) < index ? [duplicate(path, family)] : []),
    ];
  });
  const policy = spec["ipFamilyPolicy"];
  if (policy !== undefined && !policies.includes(textOf(policy))) {
    found.push(notSupported("spec.ipFamilyPolicy", policy, policies));
  }
  return found;
}

function addressTextErrors(addresses: readonly string[]): FieldError[] {
  return addresses.flatMap((address, index) => {
    if (index > 0 || address !== "None") return addressErrors(`spec.clusterIPs[${index}]`, address);
    return addresses.length === 1
      ? []
      : [invalid("spec.clusterIPs", addresses, "'None' must be the first and only value")];
  });
}

function mismatchErrors(spec: JsonObject, addresses: readonly string[]): FieldError[] {
  if (addresses[0] === "None") return [];
  const given = listAt(spec, "ipFamilies").map(textOf);
  return addresses.flatMap((address, index) => {
    const family = given[index];
    if (family === undefined || !families.includes(family) || addressFamily(address) === family) return [];
    const detail = `expected an ${family} value as indicated by \`ipFamilies[${index}]\``;
    return [invalid(`spec.clusterIPs[${index}]`, address, detail)];
  });
}

/**
 * Addresses and families that may not change, unless the Service becomes or was an ExternalName: the primary ones never, the
 * secondary ones may come with a policy for two families and go with the policy SingleStack.
 */
export function clusterAddressUpdateErrors(spec: JsonObject, old: JsonObject): FieldError[] {
  if (spec["type"] === "ExternalName" || old["type"] === "ExternalName") return [];
  const bothHeadless = isHeadless(spec) && isHeadless(old);
  const open = isOpen(spec) || isOpen(old);
  return [
    ...(bothHeadless ? [] : listChange(spec, old, "clusterIPs", "clusterIP")),
    ...(open ? [] : listChange(spec, old, "ipFamilies", "ipFamily")),
  ];
}

const isHeadless = (spec: JsonObject): boolean => spec["clusterIP"] === "None";
const isOpen = (spec: JsonObject): boolean =>
  isHeadless(spec) && Object.keys(objectAt(spec, "selector")).length === 0;

function listChange(spec: JsonObject, old: JsonObject, field: string, one: string): FieldError[] {
  const [now, before] = [listAt(spec, field), listAt(old, field)];
  if (before.length > 0 && now.length === 0) {
    return [invalid(`spec.${field}[0]`, now, `primary ${one} can not be unset`)];
  }
  const found = before.flatMap((value, index) =>
    index < now.length && now[index] !== value ? [invalid(`spec.${field}[${index}]`, now, unchangeable)] : [],
  );
  const policy = spec["ipFamilyPolicy"];
  if (before.length > 1 && now.length === 1 && policy !== "SingleStack") {
    const detail = `must be set to 'SingleStack' when releasing the secondary ${one}`;
    found.push(invalid("spec.ipFamilyPolicy", policy, detail));
  }
  return found;
}
