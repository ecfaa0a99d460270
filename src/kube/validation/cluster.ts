import { at, listAt, objectAt, sameJson, textAt, textOf, type JsonObject } from "../json.ts";
import { cidrErrors, cidrFamily } from "./address.ts";
import { forbidden, invalid, notSupported, required, type FieldError } from "./errors.ts";
import { metaErrors, metaUpdateErrors, negativeErrors } from "./meta.ts";
import { dnsLabelErrors, dnsSubdomainErrors } from "./names.ts";
import { taintErrors } from "./scheduling.ts";

export function namespaceErrors(namespace: JsonObject, old?: JsonObject): FieldError[] {
  return old ? metaUpdateErrors(namespace, old) : metaErrors(namespace, dnsLabelErrors, false);
}

export function nodeErrors(node: JsonObject): FieldError[] {
  return [...metaErrors(node, dnsSubdomainErrors, false), ...nodeSpec(objectAt(node, "spec"))];
}

function nodeSpec(spec: JsonObject): FieldError[] {
  const cidrs = listAt(spec, "podCIDRs").map(textOf);
  const malformed = cidrs.flatMap((cidr, index) => cidrErrors(`spec.podCIDRs[${index}]`, cidr));
  const found = [...taintErrors(listAt(spec, "taints"), "spec.taints"), ...malformed];
  if (malformed.length === 0 && cidrs.length > 1 && new Set(cidrs.map(cidrFamily)).size !== cidrs.length) {
    found.push(invalid("spec.podCIDRs", cidrs, "may specify no more than one CIDR for each IP family"));
  }
  return found;
}

export function nodeUpdateErrors(node: JsonObject, old: JsonObject): FieldError[] {
  const [spec, former] = [objectAt(node, "spec"), objectAt(old, "spec")];
  const found = [...metaUpdateErrors(node, old), ...taintErrors(listAt(spec, "taints"), "spec.taints")];
  if (listAt(former, "podCIDRs").length > 0 && !sameJson(spec["podCIDRs"], former["podCIDRs"])) {
    found.push(forbidden("spec.podCIDRs", 'node updates may not change podCIDR except from "" to valid'));
  }
  if (textAt(former, "providerID") !== "" && spec["providerID"] !== former["providerID"]) {
    found.push(
      forbidden("spec.providerID", 'node updates may not change providerID except from "" to valid'),
    );
  }
  return found;
}

export function leaseErrors(lease: JsonObject, old?: JsonObject): FieldError[] {
  const spec = objectAt(lease, "spec");
  const found = old ? metaUpdateErrors(lease, old) : metaErrors(lease, dnsSubdomainErrors, true);
  const seconds = spec["leaseDurationSeconds"];
  if (typeof seconds === "number" && seconds <= 0) {
    found.push(invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0"));
  }
  return [...found, ...negativeErrors(spec, "spec", "leaseTransitions")];
}

/** Events, which live for an hour, are hardly checked: their namespace must be that of the object they tell of. */
export function eventErrors(event: JsonObject): FieldError[] {
  const involved = textAt(event, "involvedObject", "namespace") || textAt(event, "regarding", "namespace");
  const namespace = textAt(event, "metadata", "namespace");
  const inDefault = involved === "" && (namespace === "default" || namespace === "kube-system");
  if (involved === namespace || inDefault || namespace === "") return [];
  return [invalid("involvedObject.namespace", involved, "does not match event.namespace")];
}

export function claimErrors(claim: JsonObject, old?: JsonObject): FieldError[] {
  const spec = objectAt(claim, "spec");
  const modes = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
  const found = old ? metaUpdateErrors(claim, old) : metaErrors(claim, dnsSubdomainErrors, true);
  const given = listAt(spec, "accessModes").map(textOf);
  if (given.length === 0) found.push(required("spec.accessModes", "at least 1 access mode is required"));
  for (const mode of given) {
    if (!modes.includes(mode)) found.push(notSupported("spec.accessModes", mode, modes));
  }
  if (at(spec, "resources", "requests", "storage") === undefined)
    found.push(required("spec.resources[storage]"));
  return found;
}

/** Kinds without rules of their own: their metadata. */
export function plainErrors(object: JsonObject, old?: JsonObject): FieldError[] {
  return old ? metaUpdateErrors(object, old) : metaErrors(object, dnsSubdomainErrors, true);
}
