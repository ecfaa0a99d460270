import { at, listAt, numberOf, objectAt, scalarText, textAt, type JsonObject } from "../json.ts";

/** Up to three items, then how many more; `<unset>` for none. */
function firstThree(items: readonly string[]): string {
  if (items.length === 0) return "<unset>";
  const shown = items.slice(0, 3).join(",");
  return items.length > 3 ? `${shown} + ${items.length - 3} more...` : shown;
}

/** Addresses and names of a load balancer, without repetition. */
export function loadBalancerText(object: JsonObject): string {
  const ingress = listAt(object, "status", "loadBalancer", "ingress");
  const names = ingress
    .map((item) => textAt(item, "ip") || textAt(item, "hostname"))
    .filter((name) => name !== "");
  return [...new Set(names)].toSorted().join(",");
}

/** How a Service is reached from outside; `<pending>` while a load balancer has no address. */
export function externalAddress(service: JsonObject): string {
  const external = listAt(service, "spec", "externalIPs").map(String);
  switch (textAt(service, "spec", "type")) {
    case "LoadBalancer": {
      const balancer = loadBalancerText(service);
      return [...(balancer === "" ? [] : [balancer]), ...external].join(",") || "<pending>";
    }
    case "ExternalName":
      return textAt(service, "spec", "externalName");
    default:
      return external.join(",") || "<none>";
  }
}

/** `80/TCP,443:30443/TCP`; `<none>` without ports. */
export function servicePorts(service: JsonObject): string {
  const ports = listAt(service, "spec", "ports").map((port) => {
    const nodePort = numberOf(at(port, "nodePort"));
    const number = numberOf(at(port, "port"));
    return `${number}${nodePort > 0 ? `:${nodePort}` : ""}/${textAt(port, "protocol")}`;
  });
  return ports.join(",") || "<none>";
}

export function slicePorts(slice: JsonObject): string {
  return firstThree(
    listAt(slice, "ports").map((port) => scalarText(at(port, "port") ?? at(port, "name") ?? "*")),
  );
}

export function sliceAddresses(slice: JsonObject): string {
  return firstThree(
    listAt(slice, "endpoints").flatMap((endpoint) => listAt(endpoint, "addresses").map(String)),
  );
}

/** `10.1.2.3:80,10.1.2.4:80`, at most three; `<none>` without any. */
export function endpointsText(endpoints: JsonObject): string {
  const all = listAt(endpoints, "subsets").flatMap((subset) => {
    const ports = listAt(subset, "ports");
    const addresses = listAt(subset, "addresses").map((address) => textAt(address, "ip"));
    if (ports.length === 0) return addresses;
    return ports.flatMap((port) => addresses.map((address) => `${address}:${numberOf(at(port, "port"))}`));
  });
  return all.length === 0 ? "<none>" : firstThree(all);
}

/** Hosts of an Ingress, at most three; `*` when it names none. */
export function ingressHosts(ingress: JsonObject): string {
  const hosts = listAt(ingress, "spec", "rules")
    .map((rule) => textAt(rule, "host"))
    .filter((host) => host !== "");
  return hosts.length === 0 ? "*" : firstThree(hosts);
}

/** `<none>`, `Kind/name` or `Kind.group/name`. */
export function classParameters(ingressClass: JsonObject): string {
  const parameters = objectAt(ingressClass, "spec", "parameters");
  const [kind, name, group] = [
    textAt(parameters, "kind"),
    textAt(parameters, "name"),
    textAt(parameters, "apiGroup"),
  ];
  return name === "" ? "<none>" : `${kind}${group === "" ? "" : `.${group}`}/${name}`;
}

/** What an IPAddress belongs to: `services/default/kubernetes`; `<none>` without a parent. */
export function parentText(address: JsonObject): string {
  const parent = objectAt(address, "spec", "parentRef");
  const [group, resource] = [textAt(parent, "group"), textAt(parent, "resource")];
  const path = [
    group === "" ? resource : `${resource}.${group}`,
    textAt(parent, "namespace"),
    textAt(parent, "name"),
  ];
  return path.filter((part) => part !== "").join("/") || "<none>";
}
