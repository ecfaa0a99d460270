import { at, isJsonObject, listAt, numberOf, objectAt, textAt, textOf, type JsonObject } from "../json.ts";
import { cidrErrors, cidrFamily } from "./address.ts";
import { forbidden, invalid, notSupported, required, type FieldError } from "./errors.ts";
import { metaErrors, metaUpdateErrors } from "./meta.ts";
import { dnsSubdomainErrors, portRange } from "./names.ts";
import { portOrNameErrors, protocols } from "./ports.ts";
import { selectorErrors } from "./selector.ts";
import { inCidr, isIPv4, parseCidr } from "#lib/ip";

export function networkPolicyErrors(policy: JsonObject, old?: JsonObject): FieldError[] {
  const spec = objectAt(policy, "spec");
  const meta = metaErrors(policy, dnsSubdomainErrors, true);
  const types = listAt(spec, "policyTypes").map(textOf);
  return [
    ...(old ? [...metaUpdateErrors(policy, old), ...meta] : meta),
    ...selectorErrors(spec["podSelector"], "spec.podSelector"),
    ...directionErrors(spec, "ingress", "from"),
    ...directionErrors(spec, "egress", "to"),
    ...typeErrors(types),
  ];
}

function typeErrors(types: readonly string[]): FieldError[] {
  if (types.length > 2)
    return [invalid("spec.policyTypes", types, "may not specify more than two policyTypes")];
  const supported = ["Egress", "Ingress"];
  return types.flatMap((type, index) =>
    supported.includes(type) ? [] : [notSupported(`spec.policyTypes[${index}]`, type, supported)],
  );
}

function directionErrors(spec: JsonObject, direction: string, peers: string): FieldError[] {
  return listAt(spec, direction).flatMap((rule, index) => {
    const path = `spec.${direction}[${index}]`;
    return [
      ...listAt(rule, "ports").flatMap((port, place) => policyPortErrors(port, `${path}.ports[${place}]`)),
      ...listAt(rule, peers).flatMap((peer, place) => peerErrors(peer, `${path}.${peers}[${place}]`)),
    ];
  });
}

function policyPortErrors(port: unknown, path: string): FieldError[] {
  const protocol = textAt(port, "protocol");
  const number = at(port, "port");
  return [
    ...(protocols.includes(protocol) ? [] : [notSupported(`${path}.protocol`, protocol, protocols)]),
    ...portOrNameErrors(number, `${path}.port`),
    ...endPortErrors(at(port, "endPort"), number, `${path}.endPort`),
  ];
}

function endPortErrors(end: unknown, port: unknown, path: string): FieldError[] {
  if (end === undefined) return [];
  if (port === undefined) return [invalid(path, end, "may not be specified when `port` is not specified")];
  if (typeof port === "string")
    return [invalid(path, end, "may not be specified when `port` is non-numeric")];
  const [last, first] = [numberOf(end), numberOf(port)];
  const found: FieldError[] = [];
  if (last < first) found.push(invalid(path, port, "must be greater than or equal to `port`"));
  if (last < 1 || last > 65535) found.push(invalid(path, end, portRange));
  return found;
}

function peerErrors(peer: unknown, path: string): FieldError[] {
  const block = at(peer, "ipBlock");
  const selectors = ["podSelector", "namespaceSelector"].filter((field) => at(peer, field) !== undefined);
  if (block === undefined && selectors.length === 0) return [required(path, "must specify a peer")];
  if (block !== undefined && selectors.length > 0) {
    return [forbidden(path, "may not specify both ipBlock and another peer")];
  }
  if (isJsonObject(block)) return blockErrors(block, `${path}.ipBlock`);
  return selectors.flatMap((field) => selectorErrors(at(peer, field), `${path}.${field}`));
}

function blockErrors(block: JsonObject, path: string): FieldError[] {
  const cidr = textAt(block, "cidr");
  if (cidr === "") return [required(`${path}.cidr`)];
  const malformed = cidrErrors(`${path}.cidr`, cidr);
  if (malformed.length > 0) return malformed;
  return listAt(block, "except").flatMap((item, index) => {
    const [here, except] = [`${path}.except[${index}]`, textOf(item)];
    const errors = cidrErrors(here, except);
    if (errors.length > 0) return errors;
    return isStrictSubset(except, cidr) ? [] : [invalid(here, except, "must be a strict subset of `cidr`")];
  });
}

function isStrictSubset(inner: string, outer: string): boolean {
  if (cidrFamily(inner) !== cidrFamily(outer)) return false;
  const [address = "", prefix] = inner.split("/");
  // Networks of IPv6 are compared by the server only; one that is shorter cannot be inside.
  if (!isIPv4(address)) return Number(prefix) > Number(outer.split("/")[1]);
  const network = parseCidr(outer);
  return Number(prefix) > network.prefix && inCidr(address, network);
}
