import { at, isJsonObject, listAt, objectAt, textAt, textOf, type JsonObject } from "../json.ts";
import { addressFamily } from "./address.ts";
import { invalid, invalidAll, notSupported, required, tooLong, type FieldError } from "./errors.ts";
import { immutable, metaErrors, metaUpdateErrors, pathSegmentErrors } from "./meta.ts";
import {
  dns1035LabelErrors,
  dnsLabelErrors,
  dnsSubdomainErrors,
  patternMessage,
  portNameErrors,
  portNumberErrors,
  wildcardErrors,
} from "./names.ts";

const classAnnotation = "kubernetes.io/ingress.class";
const forbiddenInPath = ["//", "/./", "/../", "%2f", "%2F"];
const forbiddenAtEnd = ["/..", "/."];

export function ingressErrors(ingress: JsonObject): FieldError[] {
  const annotation = at(ingress, "metadata", "annotations", classAnnotation);
  const className = at(ingress, "spec", "ingressClassName");
  const clash = annotation !== undefined && className !== undefined && annotation !== className;
  return [
    ...allErrors(ingress),
    ...(clash
      ? [
          invalid(
            `annotations.${classAnnotation}`,
            annotation,
            "must match `ingressClassName` when both are specified",
          ),
        ]
      : []),
  ];
}

export function ingressUpdateErrors(ingress: JsonObject, old: JsonObject): FieldError[] {
  return [...metaUpdateErrors(ingress, old), ...allErrors(ingress)];
}

function allErrors(ingress: JsonObject): FieldError[] {
  const spec = objectAt(ingress, "spec");
  const [rules, backend, className] = [
    listAt(spec, "rules"),
    spec["defaultBackend"],
    spec["ingressClassName"],
  ];
  const found = metaErrors(ingress, dnsSubdomainErrors, true);
  if (rules.length === 0 && backend === undefined) {
    found.push(invalid("spec", null, "either `defaultBackend` or `rules` must be specified"));
  }
  return [
    ...found,
    ...(isJsonObject(backend) ? backendErrors(backend, "spec.defaultBackend") : []),
    ...rules.flatMap((rule, index) => ruleErrors(rule, `spec.rules[${index}]`)),
    ...listAt(spec, "tls").flatMap((tls, index) => tlsErrors(tls, `spec.tls[${index}]`)),
    ...(typeof className === "string"
      ? invalidAll("spec.ingressClassName", className, dnsSubdomainErrors(className))
      : []),
  ];
}

/** A host name, or one with `*.` in front. */
const hostErrors = (host: string): string[] =>
  host.includes("*") ? wildcardErrors(host) : dnsSubdomainErrors(host);

function ruleErrors(rule: unknown, path: string): FieldError[] {
  const host = textAt(rule, "host");
  const found: FieldError[] = [];
  if (host !== "") {
    if (addressFamily(host) !== undefined) {
      found.push(invalid(`${path}.host`, host, "must be a DNS name, not an IP address"));
    }
    found.push(...invalidAll(`${path}.host`, host, hostErrors(host)));
  }
  const http = at(rule, "http");
  if (!isJsonObject(http)) return found;
  const paths = listAt(http, "paths");
  if (paths.length === 0) found.push(required(`${path}.http.paths`));
  return [...found, ...paths.flatMap((item, index) => pathErrors(item, `${path}.http.paths[${index}]`))];
}

function pathErrors(item: unknown, path: string): FieldError[] {
  const type = at(item, "pathType");
  if (typeof type !== "string") return [required(`${path}.pathType`, "pathType must be specified")];
  const text = textAt(item, "path");
  const details: string[] = [];
  const found: FieldError[] = [];
  if (type === "Exact" || type === "Prefix") {
    if (!text.startsWith("/")) details.push("must be an absolute path");
    for (const part of forbiddenInPath) if (text.includes(part)) details.push(`must not contain '${part}'`);
    for (const end of forbiddenAtEnd) if (text.endsWith(end)) details.push(`cannot end with '${end}'`);
  } else if (type === "ImplementationSpecific") {
    if (text !== "" && !text.startsWith("/")) details.push("must be an absolute path");
  } else found.push(notSupported(`${path}.pathType`, type, ["Exact", "ImplementationSpecific", "Prefix"]));
  return [
    ...found,
    ...invalidAll(`${path}.path`, text, details),
    ...backendErrors(at(item, "backend"), `${path}.backend`),
  ];
}

function backendErrors(backend: unknown, path: string): FieldError[] {
  const [resource, service] = [at(backend, "resource"), at(backend, "service")];
  if (resource !== undefined && service !== undefined) {
    return [invalid(path, "", "cannot set both resource and service backends")];
  }
  if (resource !== undefined) return resourceErrors(resource, `${path}.resource`);
  if (service === undefined) return [invalid(path, "", "resource or service backend is required")];
  const name = textAt(service, "name");
  return [
    ...(name === ""
      ? [required(`${path}.service.name`)]
      : invalidAll(`${path}.service.name`, name, dns1035LabelErrors(name))),
    ...backendPortErrors(objectAt(service, "port"), path),
  ];
}

function backendPortErrors(port: JsonObject, path: string): FieldError[] {
  const [name, number] = [textAt(port, "name"), port["number"] ?? 0];
  if (name !== "" && number !== 0) return [invalid(path, "", "cannot set both port name & port number")];
  if (name !== "") return invalidAll(`${path}.service.port.name`, name, portNameErrors(name));
  if (number === 0) return [required(path, "port name or number is required")];
  return invalidAll(`${path}.service.port.number`, number, portNumberErrors(Number(number)));
}

function resourceErrors(resource: unknown, path: string): FieldError[] {
  const group = textAt(resource, "apiGroup");
  return [
    ...(group === "" ? [] : invalidAll(`${path}.apiGroup`, group, dnsSubdomainErrors(group))),
    ...segment(resource, "kind", path),
    ...segment(resource, "name", path),
  ];
}

/** A required field that becomes part of a URL path. */
function segment(value: unknown, field: string, path: string): FieldError[] {
  const text = textAt(value, field);
  return text === ""
    ? [required(`${path}.${field}`)]
    : invalidAll(`${path}.${field}`, text, pathSegmentErrors(text));
}

function tlsErrors(tls: unknown, path: string): FieldError[] {
  const secret = textAt(tls, "secretName");
  return [
    ...listAt(tls, "hosts").flatMap((host, index) =>
      invalidAll(`${path}.hosts[${index}]`, host, hostErrors(textOf(host))),
    ),
    ...(secret === "" ? [] : invalidAll(`${path}.secretName`, secret, dnsSubdomainErrors(secret))),
  ];
}

const maxController = 250;
const controllerPath = "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+";

export function ingressClassErrors(ingressClass: JsonObject, old?: JsonObject): FieldError[] {
  const spec = objectAt(ingressClass, "spec");
  if (old) {
    const controller = spec["controller"];
    const changed = controller !== at(old, "spec", "controller");
    return [
      ...metaUpdateErrors(ingressClass, old),
      ...(changed ? [invalid("spec.controller", controller, immutable)] : []),
      ...parameterErrors(spec["parameters"]),
    ];
  }
  return [
    ...metaErrors(ingressClass, dnsSubdomainErrors, false),
    ...controllerErrors(textAt(spec, "controller")),
    ...parameterErrors(spec["parameters"]),
  ];
}

function controllerErrors(controller: string): FieldError[] {
  const path = "spec.controller";
  if (controller === "") return [required(path)];
  if (controller.length > maxController) return [tooLong(path, maxController)];
  const slash = controller.indexOf("/");
  if (slash <= 0 || slash === controller.length - 1) {
    return [invalid(path, controller, 'must be a domain-prefixed path (such as "acme.io/foo")')];
  }
  const [domain, rest] = [controller.slice(0, slash), controller.slice(slash + 1)];
  const found = invalidAll(path, domain, dnsSubdomainErrors(domain));
  if (!/^[A-Za-z0-9/\-._~%!$&'()*+,;=:]+$/.test(rest)) {
    found.push(invalid(path, rest, patternMessage("Invalid path", controllerPath)));
  }
  return found;
}

function parameterErrors(parameters: unknown): FieldError[] {
  if (!isJsonObject(parameters)) return [];
  const path = "spec.parameters";
  const found = resourceErrors(parameters, path);
  const scope = textAt(parameters, "scope");
  const namespace = textAt(parameters, "namespace");
  if (scope === "Namespace") {
    if (parameters["namespace"] === undefined) {
      found.push(required(`${path}.namespace`, "`parameters.scope` is set to 'Namespace'"));
    } else found.push(...invalidAll(`${path}.namespace`, namespace, dnsLabelErrors(namespace)));
  } else if (scope === "Cluster") {
    if (namespace !== "") {
      found.push({
        reason: "FieldValueForbidden",
        field: `${path}.namespace`,
        message: "Forbidden: `parameters.scope` is set to 'Cluster'",
      });
    }
  } else found.push(notSupported(`${path}.scope`, scope, ["Cluster", "Namespace"]));
  return found;
}
