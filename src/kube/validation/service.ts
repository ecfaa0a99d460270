import { at, listAt, numberOf, objectAt, sameJson, textAt, textOf, type JsonObject } from "../json.ts";
import { addressErrors, addressFamily, cidrErrors, specialAddressErrors } from "./address.ts";
import {
  duplicate,
  forbidden,
  invalid,
  invalidAll,
  notSupported,
  required,
  type FieldError,
} from "./errors.ts";
import { immutable, labelErrors, metaErrors, metaUpdateErrors } from "./meta.ts";
import { dns1035LabelErrors, dnsLabelErrors, dnsSubdomainErrors, qualifiedNameErrors } from "./names.ts";
import { portErrors, portOrNameErrors, protocols } from "./ports.ts";
import { clusterAddressErrors, clusterAddressUpdateErrors } from "./service-addresses.ts";

const types = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const onlyLoadBalancer = "may only be used when `type` is 'LoadBalancer'";
const kubeletPort = 10250;

const isHeadless = (spec: JsonObject): boolean => listAt(spec, "clusterIPs")[0] === "None";
const isLoadBalancer = (spec: JsonObject): boolean => spec["type"] === "LoadBalancer";
const isExternal = (spec: JsonObject): boolean =>
  isLoadBalancer(spec) ||
  spec["type"] === "NodePort" ||
  (spec["type"] === "ClusterIP" && listAt(spec, "externalIPs").length > 0);

/** A new Service. Addresses and families are looked at first, as the server must allocate before it validates the rest. */
export function serviceErrors(service: JsonObject): FieldError[] {
  const spec = objectAt(service, "spec");
  const addresses = clusterAddressErrors(spec);
  return addresses.length > 0 ? addresses : allErrors(service, spec);
}

/** A changed Service. */
export function serviceUpdateErrors(service: JsonObject, old: JsonObject): FieldError[] {
  const [spec, former] = [objectAt(service, "spec"), objectAt(old, "spec")];
  const early = clusterAddressErrors(spec);
  if (early.length > 0) return early;
  const found = [...metaUpdateErrors(service, old), ...clusterAddressUpdateErrors(spec, former)];
  const [balancerClass, formerClass] = [spec["loadBalancerClass"], former["loadBalancerClass"]];
  if (isLoadBalancer(spec) && isLoadBalancer(former) && balancerClass !== formerClass) {
    found.push(invalid("spec.loadBalancerClass", balancerClass, "may not change once set"));
  }
  const [port, formerPort] = [numberOf(spec["healthCheckNodePort"]), numberOf(former["healthCheckNodePort"])];
  const stillLocal = isLoadBalancer(spec) && spec["externalTrafficPolicy"] === "Local";
  if (stillLocal && formerPort !== 0 && port !== 0 && port !== formerPort) {
    found.push(forbidden("spec.healthCheckNodePort", immutable));
  }
  return [...found, ...allErrors(service, spec)];
}

/** The status subresource of a Service. */
export function serviceStatusErrors(service: JsonObject, old: JsonObject): FieldError[] {
  const path = "status.loadBalancer.ingress";
  const ingress = listAt(service, "status", "loadBalancer", "ingress");
  const found = metaUpdateErrors(service, old);
  if (ingress.length > 0 && !isLoadBalancer(objectAt(service, "spec"))) {
    return [...found, forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'")];
  }
  return [...found, ...ingress.flatMap((item, index) => ingressErrors(item, `${path}[${index}]`))];
}

function ingressErrors(item: unknown, path: string): FieldError[] {
  const [ip, hostname, mode] = [textAt(item, "ip"), textAt(item, "hostname"), at(item, "ipMode")];
  const found = ip === "" ? [] : addressErrors(`${path}.ip`, ip);
  const modes = ["Proxy", "VIP"];
  if (mode !== undefined && ip === "") {
    found.push(forbidden(`${path}.ipMode`, "may not be specified when `ip` is not set"));
  } else if (mode !== undefined && !modes.includes(textOf(mode))) {
    found.push(notSupported(`${path}.ipMode`, mode, modes));
  }
  if (hostname === "") return found;
  if (addressFamily(hostname) !== undefined) {
    found.push(invalid(`${path}.hostname`, hostname, "must be a DNS name, not an IP address"));
  }
  return [...found, ...invalidAll(`${path}.hostname`, hostname, dnsSubdomainErrors(hostname))];
}

function allErrors(service: JsonObject, spec: JsonObject): FieldError[] {
  return [
    ...metaErrors(service, dns1035LabelErrors, true),
    ...typeErrors(spec),
    ...servicePortErrors(spec),
    ...labelErrors(spec["selector"], "spec.selector"),
    ...affinityErrors(spec),
    ...externalAddressErrors(spec),
    ...(types.includes(textOf(spec["type"])) ? [] : [notSupported("spec.type", spec["type"], types)]),
    ...nodePortErrors(spec),
    ...duplicatePortErrors(spec),
    ...sourceRangeErrors(spec),
    ...balancerErrors(spec),
    ...policyErrors(spec),
  ];
}

function typeErrors(spec: JsonObject): FieldError[] {
  const found: FieldError[] = [];
  const external = spec["type"] === "ExternalName";
  if (listAt(spec, "ports").length === 0 && !isHeadless(spec) && !external)
    found.push(required("spec.ports"));
  if (isLoadBalancer(spec)) {
    for (const [index, port] of listAt(spec, "ports").entries()) {
      if (at(port, "port") !== kubeletPort) continue;
      const detail = `may not expose port ${kubeletPort} externally since it is used by kubelet`;
      found.push(invalid(`spec.ports[${index}]`, kubeletPort, detail));
    }
  }
  if (isHeadless(spec) && (isLoadBalancer(spec) || spec["type"] === "NodePort")) {
    const detail = `may not be set to 'None' for ${textOf(spec["type"])} services`;
    found.push(invalid("spec.clusterIPs[0]", "None", detail));
  }
  return external ? [...found, ...externalNameErrors(spec)] : found;
}

function externalNameErrors(spec: JsonObject): FieldError[] {
  const found: FieldError[] = [];
  for (const field of ["clusterIPs", "ipFamilies", "ipFamilyPolicy"]) {
    if (spec[field] !== undefined)
      found.push(forbidden(`spec.${field}`, "may not be set for ExternalName services"));
  }
  const name = textAt(spec, "externalName").replace(/\.$/, "");
  if (name === "") return [...found, required("spec.externalName")];
  return [...found, ...invalidAll("spec.externalName", name, dnsSubdomainErrors(name))];
}

function servicePortErrors(spec: JsonObject): FieldError[] {
  const ports = listAt(spec, "ports");
  const names = new Set<string>();
  return ports.flatMap((port, index) => {
    const path = `spec.ports[${index}]`;
    const name = textAt(port, "name");
    const found: FieldError[] = [];
    if (name === "" && ports.length > 1) found.push(required(`${path}.name`));
    else if (name !== "") {
      found.push(...invalidAll(`${path}.name`, name, dnsLabelErrors(name)));
      if (names.has(name)) found.push(duplicate(`${path}.name`, name));
      names.add(name);
    }
    const appProtocol = at(port, "appProtocol");
    return [
      ...found,
      ...portErrors(at(port, "port") ?? 0, `${path}.port`),
      ...protocolErrors(port, path),
      ...portOrNameErrors(at(port, "targetPort"), `${path}.targetPort`),
      ...(typeof appProtocol === "string"
        ? invalidAll(`${path}.appProtocol`, appProtocol, qualifiedNameErrors(appProtocol))
        : []),
    ];
  });
}

function protocolErrors(port: unknown, path: string): FieldError[] {
  const protocol = textAt(port, "protocol");
  return protocols.includes(protocol) ? [] : [notSupported(`${path}.protocol`, protocol, protocols)];
}

function affinityErrors(spec: JsonObject): FieldError[] {
  const affinity = textAt(spec, "sessionAffinity");
  const supported = ["ClientIP", "None"];
  if (!supported.includes(affinity)) return [notSupported("spec.sessionAffinity", affinity, supported)];
  const path = "spec.sessionAffinityConfig";
  if (affinity === "None") {
    return spec["sessionAffinityConfig"] === undefined
      ? []
      : [forbidden(path, "must not be set when session affinity is None")];
  }
  const seconds = numberOf(at(spec, "sessionAffinityConfig", "clientIP", "timeoutSeconds"));
  if (seconds > 0 && seconds <= 86400) return [];
  return [invalid(`${path}.clientIP.timeoutSeconds`, seconds, "must be greater than 0 and less than 86400")];
}

function externalAddressErrors(spec: JsonObject): FieldError[] {
  return listAt(spec, "externalIPs").flatMap((item, index) => {
    const [path, address] = [`spec.externalIPs[${index}]`, textOf(item)];
    const found = addressErrors(path, address);
    return found.length > 0 ? found : specialAddressErrors(path, address);
  });
}

function nodePortErrors(spec: JsonObject): FieldError[] {
  const seen = new Set<string>();
  return listAt(spec, "ports").flatMap((port, index) => {
    const nodePort = numberOf(at(port, "nodePort"));
    if (nodePort === 0) return [];
    const path = `spec.ports[${index}].nodePort`;
    if (spec["type"] === "ClusterIP") return [forbidden(path, "may not be used when `type` is 'ClusterIP'")];
    const key = `${textAt(port, "protocol")} ${nodePort}`;
    if (seen.has(key)) return [duplicate(path, nodePort)];
    seen.add(key);
    return [];
  });
}

function duplicatePortErrors(spec: JsonObject): FieldError[] {
  const seen = new Set<string>();
  return listAt(spec, "ports").flatMap((port, index) => {
    const [Protocol, Port] = [textAt(port, "protocol"), numberOf(at(port, "port"))];
    const key = `${Protocol} ${Port}`;
    if (!seen.has(key)) {
      seen.add(key);
      return [];
    }
    // The value is shown with the field names of the server's internal type.
    const shown = { Name: "", Protocol, AppProtocol: null, Port, TargetPort: 0, NodePort: 0 };
    return [duplicate(`spec.ports[${index}]`, shown)];
  });
}

function sourceRangeErrors(spec: JsonObject): FieldError[] {
  const ranges = listAt(spec, "loadBalancerSourceRanges");
  if (ranges.length === 0) return [];
  // The capital L is how the field is called in messages.
  const path = "spec.LoadBalancerSourceRanges";
  return [
    ...(isLoadBalancer(spec) ? [] : [forbidden(path, onlyLoadBalancer)]),
    ...ranges.flatMap((range, index) => cidrErrors(`${path}[${index}]`, textOf(range).trim())),
  ];
}

function balancerErrors(spec: JsonObject): FieldError[] {
  const balancerClass = spec["loadBalancerClass"];
  if (isLoadBalancer(spec)) {
    if (typeof balancerClass !== "string") return [];
    return invalidAll("spec.loadBalancerClass", balancerClass, qualifiedNameErrors(balancerClass));
  }
  return ["allocateLoadBalancerNodePorts", "loadBalancerClass"].flatMap((field) =>
    spec[field] === undefined ? [] : [forbidden(`spec.${field}`, onlyLoadBalancer)],
  );
}

function policyErrors(spec: JsonObject): FieldError[] {
  return [
    ...externalPolicyErrors(spec),
    ...oneOf(spec, "internalTrafficPolicy", ["Cluster", "Local"]),
    ...oneOf(spec, "trafficDistribution", ["PreferClose", "PreferSameNode", "PreferSameZone"]),
  ];
}

function externalPolicyErrors(spec: JsonObject): FieldError[] {
  const found: FieldError[] = [];
  const policy = spec["externalTrafficPolicy"];
  if (isExternal(spec)) found.push(...oneOf(spec, "externalTrafficPolicy", ["Cluster", "Local"]));
  else if (policy !== undefined) {
    found.push(
      invalid("spec.externalTrafficPolicy", policy, "may only be set for externally-accessible services"),
    );
  }
  const port = numberOf(spec["healthCheckNodePort"]);
  if (port === 0) return found;
  const path = "spec.healthCheckNodePort";
  if (isLoadBalancer(spec) && policy === "Local") return [...found, ...portErrors(port, path)];
  const detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
  return [...found, invalid(path, port, detail)];
}

function oneOf(spec: JsonObject, field: string, supported: readonly string[]): FieldError[] {
  const value = spec[field];
  if (value === undefined || supported.some((item) => sameJson(item, value))) return [];
  return [notSupported(`spec.${field}`, value, supported)];
}
