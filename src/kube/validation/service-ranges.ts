import { canonicalAddress, canonicalCidr } from "#lib/ip";
import { at, listAt, objectAt, sameJson, textAt, textOf, type JsonObject } from "../json.ts";
import { addressErrors, cidrErrors, cidrFamily } from "./address.ts";
import { invalid, invalidAll, required, type FieldError } from "./errors.ts";
import { immutable, metaErrors, metaUpdateErrors, pathSegmentErrors } from "./meta.ts";
import { dnsSubdomainErrors } from "./names.ts";

/** ServiceCIDR (KEP-1880). Its ranges never change; a second family may be added to one (Kubernetes issue 131261). */
export function serviceCidrErrors(object: JsonObject, old?: JsonObject): FieldError[] {
  const spec = objectAt(object, "spec");
  if (old === undefined) return [...metaErrors(object, dnsSubdomainErrors, false), ...rangeErrors(spec)];
  const [now, before] = [listAt(spec, "cidrs"), listAt(old, "spec", "cidrs")];
  const found = metaUpdateErrors(object, old);
  const grows = before.length === 1 && now.length === 2;
  if (!grows && now.length !== before.length) return [...found, invalid("spec.cidrs", now, immutable)];
  const changed = before.flatMap((cidr, index) =>
    now[index] === cidr ? [] : [invalid(`spec.cidrs[${index}]`, now[index], immutable)],
  );
  return [...found, ...changed, ...(grows ? rangeErrors(spec) : [])];
}

function rangeErrors(spec: JsonObject): FieldError[] {
  const cidrs = listAt(spec, "cidrs").map(textOf);
  if (cidrs.length === 0) return [required("spec.cidrs", "at least one CIDR required")];
  if (cidrs.length > 2) return [invalid("spec.cidrs", spec, "may only hold up to 2 values")];
  const families = cidrs.map(cidrFamily);
  if (cidrs.length === 2 && (families.includes(undefined) || families[0] === families[1])) {
    const detail = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/96";
    return [invalid("spec.cidrs", spec, detail)];
  }
  return cidrs.flatMap((cidr, index) => canonicalCidrErrors(`spec.cidrs[${index}]`, cidr));
}

function canonicalCidrErrors(field: string, cidr: string): FieldError[] {
  const found = cidrErrors(field, cidr);
  const canonical = canonicalCidr(cidr);
  if (found.length > 0 || canonical === cidr) return found;
  return [
    invalid(field, cidr, `must be in canonical form${canonical === undefined ? "" : ` ("${canonical}")`}`),
  ];
}

/** IPAddress (KEP-1880): its name is the address, and what it belongs to never changes. */
export function ipAddressErrors(object: JsonObject, old?: JsonObject): FieldError[] {
  if (old !== undefined) {
    const [now, before] = [at(object, "spec", "parentRef"), at(old, "spec", "parentRef")];
    const changed = sameJson(now, before) ? [] : [invalid("spec.parentRef", now, immutable)];
    return [...metaUpdateErrors(object, old), ...changed];
  }
  return [...metaErrors(object, ipNameErrors, false), ...parentErrors(objectAt(object, "spec"))];
}

function ipNameErrors(name: string): string[] {
  if (addressErrors("", name).length > 0)
    return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"];
  const canonical = canonicalAddress(name);
  return canonical === name ? [] : [`must be in canonical form ("${canonical ?? ""}")`];
}

function parentErrors(spec: JsonObject): FieldError[] {
  const path = "spec.parentRef";
  if (spec["parentRef"] === undefined) return [required(path)];
  const parent = objectAt(spec, "parentRef");
  const found: FieldError[] = [];
  const group = textAt(parent, "group");
  if (group !== "") found.push(...invalidAll(`${path}.group`, group, dnsSubdomainErrors(group)));
  for (const field of ["resource", "name"]) {
    const text = textAt(parent, field);
    if (text === "") found.push(required(`${path}.${field}`));
    else found.push(...invalidAll(`${path}.${field}`, text, pathSegmentErrors(text)));
  }
  const namespace = textAt(parent, "namespace");
  return namespace === ""
    ? found
    : [...found, ...invalidAll(`${path}.namespace`, namespace, pathSegmentErrors(namespace))];
}
