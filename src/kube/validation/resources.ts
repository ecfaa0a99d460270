import { objectAt, textOf, type JsonObject } from "../json.ts";
import { compareQuantities, parseQuantity } from "../quantity.ts";
import { invalid, invalidAll, required, type FieldError } from "./errors.ts";
import { notNegative } from "./meta.ts";
import { qualifiedNameErrors } from "./names.ts";

const standard = new Set([
  "cpu",
  "memory",
  "ephemeral-storage",
  "storage",
  "requests.cpu",
  "requests.memory",
  "requests.storage",
  "requests.ephemeral-storage",
  "limits.cpu",
  "limits.memory",
  "limits.ephemeral-storage",
  "pods",
  "services",
  "configmaps",
  "secrets",
  "replicationcontrollers",
  "resourcequotas",
  "persistentvolumeclaims",
  "services.nodeports",
  "services.loadbalancers",
]);
const ofContainers = new Set(["cpu", "memory", "ephemeral-storage"]);

/** Requests may lie below the limits only for resources of the cluster itself. */
const canOvercommit = (name: string): boolean =>
  (!name.includes("/") || name.includes("kubernetes.io/")) && !name.startsWith("hugepages-");

function nameErrors(name: string, path: string): FieldError[] {
  const malformed = qualifiedNameErrors(name);
  if (malformed.length > 0) return invalidAll(path, name, malformed);
  if (name.includes("/") || name.startsWith("hugepages-")) return [];
  return [
    ...(standard.has(name)
      ? []
      : [invalid(path, name, "must be a standard resource type or fully qualified")]),
    ...(ofContainers.has(name) ? [] : [invalid(path, name, "must be a standard resource for containers")]),
  ];
}

function quantityErrors(name: string, quantity: string, path: string): FieldError[] {
  const parsed = parseQuantity(quantity);
  if (parsed !== undefined && parsed.nano < 0n) return [invalid(path, quantity, notNegative)];
  const whole = parsed === undefined || parsed.nano % 1_000_000_000n === 0n;
  return whole || !name.includes("/") ? [] : [invalid(path, quantity, "must be an integer")];
}

/** Requests and limits of a container. */
export function resourceErrors(resources: JsonObject, path: string): FieldError[] {
  const limits = objectAt(resources, "limits");
  const of = (list: string): FieldError[] =>
    Object.entries(objectAt(resources, list)).flatMap(([name, quantity]) => [
      ...nameErrors(name, `${path}.${list}[${name}]`),
      ...quantityErrors(name, textOf(quantity), `${path}.${list}[${name}]`),
    ]);
  const comparisons = Object.entries(objectAt(resources, "requests")).flatMap(([name, quantity]) =>
    limitErrors(name, textOf(quantity), limits, path),
  );
  return [...of("limits"), ...comparisons, ...of("requests")];
}

function limitErrors(name: string, request: string, limits: JsonObject, path: string): FieldError[] {
  const limit = textOf(limits[name]);
  if (limit === "") {
    if (canOvercommit(name)) return [];
    return [required(`${path}.limits`, "Limit must be set for non overcommitable resources")];
  }
  const order = compareQuantities(request, limit);
  if (order !== 0 && !canOvercommit(name)) {
    return [invalid(`${path}.requests`, request, `must be equal to ${name} limit of ${limit}`)];
  }
  return order <= 0
    ? []
    : [invalid(`${path}.requests`, request, `must be less than or equal to ${name} limit of ${limit}`)];
}
