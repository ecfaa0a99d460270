import { at, listAt, numberOf, textAt, textOf, type JsonObject } from "../json.ts";
import { addressErrors, addressFamily, specialAddressErrors } from "./address.ts";
import {
  duplicate,
  invalid,
  invalidAll,
  notSupported,
  required,
  tooMany,
  type FieldError,
} from "./errors.ts";
import { immutable, labelErrors, metaErrors, metaUpdateErrors } from "./meta.ts";
import { dnsLabelErrors, dnsSubdomainErrors, qualifiedNameErrors } from "./names.ts";
import { portErrors, protocols } from "./ports.ts";

const addressTypes = ["FQDN", "IPv4", "IPv6"];
const maxEndpoints = 1000;
const maxAddresses = 100;
const maxPorts = 20000;

export function endpointSliceErrors(slice: JsonObject, old?: JsonObject): FieldError[] {
  const type = textAt(slice, "addressType");
  const found = metaErrors(slice, dnsSubdomainErrors, true);
  if (type === "") found.push(required("addressType"));
  else if (!addressTypes.includes(type)) found.push(notSupported("addressType", type, addressTypes));
  found.push(...sliceEndpoints(listAt(slice, "endpoints"), type), ...slicePorts(listAt(slice, "ports")));
  if (old && type !== textAt(old, "addressType")) found.push(invalid("addressType", type, immutable));
  return found;
}

function sliceEndpoints(endpoints: readonly unknown[], type: string): FieldError[] {
  if (endpoints.length > maxEndpoints) return [tooMany("endpoints", endpoints.length, maxEndpoints)];
  return endpoints.flatMap((endpoint, index) => {
    const path = `endpoints[${index}]`;
    const addresses = listAt(endpoint, "addresses").map(textOf);
    const [hostname, nodeName] = [at(endpoint, "hostname"), at(endpoint, "nodeName")];
    const found: FieldError[] = [];
    if (addresses.length === 0) found.push(required(`${path}.addresses`, "must contain at least 1 address"));
    if (addresses.length > maxAddresses)
      found.push(tooMany(`${path}.addresses`, addresses.length, maxAddresses));
    found.push(
      ...addresses.flatMap((address, place) => endpointAddress(address, type, `${path}.addresses`, place)),
    );
    if (typeof nodeName === "string")
      found.push(...invalidAll(`${path}.nodeName`, nodeName, dnsSubdomainErrors(nodeName)));
    found.push(...labelErrors(at(endpoint, "deprecatedTopology"), `${path}.deprecatedTopology`));
    if (typeof hostname === "string")
      found.push(...invalidAll(`${path}.hostname`, hostname, dnsLabelErrors(hostname)));
    return found;
  });
}

function endpointAddress(address: string, type: string, path: string, index: number): FieldError[] {
  const here = `${path}[${index}]`;
  if (type === "FQDN") return invalidAll(here, address, dnsSubdomainErrors(address));
  if (type !== "IPv4" && type !== "IPv6") return [];
  const malformed = addressErrors(here, address);
  if (malformed.length > 0) return malformed;
  if (addressFamily(address) !== type) return [invalid(path, address, `must be an ${type} address`)];
  return specialAddressErrors(here, address);
}

function slicePorts(ports: readonly unknown[]): FieldError[] {
  if (ports.length > maxPorts) return [tooMany("ports", ports.length, maxPorts)];
  const names = new Set<string>();
  return ports.flatMap((port, index) => {
    const path = `ports[${index}]`;
    const [name, protocol, appProtocol] = [
      textAt(port, "name"),
      textAt(port, "protocol"),
      at(port, "appProtocol"),
    ];
    const found = name === "" ? [] : invalidAll(`${path}.name`, name, dnsLabelErrors(name));
    if (names.has(name)) found.push(duplicate(`${path}.name`, name));
    names.add(name);
    if (protocol === "") found.push(required(`${path}.protocol`));
    else if (!protocols.includes(protocol)) found.push(notSupported(`${path}.protocol`, protocol, protocols));
    if (typeof appProtocol !== "string") return found;
    return [...found, ...invalidAll(`${path}.appProtocol`, appProtocol, qualifiedNameErrors(appProtocol))];
  });
}

export function endpointsErrors(endpoints: JsonObject, old?: JsonObject): FieldError[] {
  const meta = metaErrors(endpoints, dnsSubdomainErrors, true);
  const found = old ? [...metaUpdateErrors(endpoints, old), ...meta] : meta;
  return [
    ...found,
    ...listAt(endpoints, "subsets").flatMap((subset, index) => subsetErrors(subset, `subsets[${index}]`)),
  ];
}

function subsetErrors(subset: unknown, path: string): FieldError[] {
  const [ready, notReady, ports] = [
    listAt(subset, "addresses"),
    listAt(subset, "notReadyAddresses"),
    listAt(subset, "ports"),
  ];
  const found: FieldError[] = [];
  if (ready.length === 0 && notReady.length === 0) {
    found.push(required(path, "must specify `addresses` or `notReadyAddresses`"));
  }
  for (const [field, list] of [
    ["addresses", ready],
    ["notReadyAddresses", notReady],
  ] as const) {
    found.push(...list.flatMap((item, index) => subsetAddress(item, `${path}.${field}[${index}]`)));
  }
  return [
    ...found,
    ...ports.flatMap((port, index) => subsetPort(port, ports.length > 1, `${path}.ports[${index}]`)),
  ];
}

function subsetAddress(item: unknown, path: string): FieldError[] {
  const [ip, hostname] = [textAt(item, "ip"), textAt(item, "hostname")];
  const malformed = addressErrors(`${path}.ip`, ip);
  return [
    ...malformed,
    ...(hostname === "" ? [] : invalidAll(`${path}.hostname`, hostname, dnsLabelErrors(hostname))),
    ...(malformed.length > 0 ? [] : specialAddressErrors(`${path}.ip`, ip)),
  ];
}

function subsetPort(port: unknown, needsName: boolean, path: string): FieldError[] {
  const [name, protocol] = [textAt(port, "name"), textAt(port, "protocol")];
  return [
    ...(name === "" && needsName ? [required(`${path}.name`)] : []),
    ...(name === "" ? [] : invalidAll(`${path}.name`, name, dnsLabelErrors(name))),
    ...portErrors(numberOf(at(port, "port")), `${path}.port`),
    ...(protocols.includes(protocol) ? [] : [notSupported(`${path}.protocol`, protocol, protocols)]),
  ];
}
