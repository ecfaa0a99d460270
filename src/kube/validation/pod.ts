import { at, isJsonObject, listAt, objectAt, sameJson, textAt, textOf, type JsonObject } from "../json.ts";
import { addressErrors } from "./address.ts";
import { containerErrors, initContainerErrors } from "./container.ts";
import { forbidden, invalid, invalidAll, notSupported, required, type FieldError } from "./errors.ts";
import { labelErrors, metaErrors, metaUpdateErrors } from "./meta.ts";
import { dnsLabelErrors, dnsSubdomainErrors, qualifiedNameErrors, searchPathErrors } from "./names.ts";
import { affinityErrors, spreadErrors, tolerationErrors } from "./scheduling.ts";
import { volumeErrors } from "./volume.ts";

const restartPolicies = ["Always", "OnFailure", "Never"];
const dnsPolicies = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
const maxSeconds = 2 ** 31 - 1;

/** A new pod. */
export function podErrors(pod: JsonObject): FieldError[] {
  return [...metaErrors(pod, dnsSubdomainErrors, true), ...podSpecErrors(objectAt(pod, "spec"), "spec")];
}

/** The spec of a pod or of a pod template at `path`. */
export function podSpecErrors(spec: JsonObject, path: string): FieldError[] {
  const volumes = volumeErrors(listAt(spec, "volumes"), `${path}.volumes`);
  return [
    ...volumes.errors,
    ...containerErrors(listAt(spec, "containers"), volumes.names, `${path}.containers`),
    ...initContainerErrors(spec, volumes.names, `${path}.initContainers`),
    ...oneOf(spec, path, "restartPolicy", restartPolicies),
    ...oneOf(spec, path, "dnsPolicy", dnsPolicies),
    ...labelErrors(spec["nodeSelector"], `${path}.nodeSelector`),
    ...pullSecretErrors(spec, `${path}.imagePullSecrets`),
    ...affinityErrors(objectAt(spec, "affinity"), `${path}.affinity`),
    ...dnsErrors(spec, `${path}.dnsConfig`),
    ...gateErrors(spec, path),
    ...spreadErrors(listAt(spec, "topologySpreadConstraints"), `${path}.topologySpreadConstraints`),
    ...nameErrors(spec, path),
    ...deadlineErrors(spec, path),
    ...tolerationErrors(listAt(spec, "tolerations"), `${path}.tolerations`),
    ...hostAliasErrors(spec, `${path}.hostAliases`),
  ];
}

function oneOf(spec: JsonObject, path: string, field: string, supported: readonly string[]): FieldError[] {
  const value = textAt(spec, field);
  if (value === "") return [required(`${path}.${field}`)];
  return supported.includes(value) ? [] : [notSupported(`${path}.${field}`, value, supported)];
}

function pullSecretErrors(spec: JsonObject, path: string): FieldError[] {
  return listAt(spec, "imagePullSecrets").flatMap((secret, index) =>
    textAt(secret, "name") === "" ? [required(`${path}[${index}].name`)] : [],
  );
}

function dnsErrors(spec: JsonObject, path: string): FieldError[] {
  const config = spec["dnsConfig"];
  const servers = listAt(config, "nameservers");
  if (spec["dnsPolicy"] === "None") {
    if (!isJsonObject(config)) return [required(path, "must provide `dnsConfig` when `dnsPolicy` is None")];
    if (servers.length === 0) {
      return [
        required(`${path}.nameservers`, "must provide at least one DNS nameserver when `dnsPolicy` is None"),
      ];
    }
  }
  if (!isJsonObject(config)) return [];
  return [
    ...(servers.length > 3
      ? [invalid(`${path}.nameservers`, servers, "must not have more than 3 nameservers")]
      : []),
    ...servers.flatMap((server, index) => addressErrors(`${path}.nameservers[${index}]`, textOf(server))),
    ...searchErrors(listAt(config, "searches").map(textOf), `${path}.searches`),
    ...listAt(config, "options").flatMap((option, index) =>
      textAt(option, "name") === "" ? [required(`${path}.options[${index}]`, "must not be empty")] : [],
    ),
  ];
}

const maxSearches = 32;
const maxSearchLength = 2048;

function searchErrors(searches: readonly string[], path: string): FieldError[] {
  const found: FieldError[] = [];
  if (searches.length > maxSearches) {
    found.push(invalid(path, searches, `must not have more than ${maxSearches} search paths`));
  }
  if (searches.join(" ").length > maxSearchLength) {
    const detail = `must not have more than ${maxSearchLength} characters (including spaces) in the search list`;
    found.push(invalid(path, searches, detail));
  }
  return [
    ...found,
    ...searches.flatMap((search, index) =>
      search === "."
        ? []
        : invalidAll(`${path}[${index}]`, search, searchPathErrors(search.replace(/\.$/, ""))),
    ),
  ];
}

function gateErrors(spec: JsonObject, path: string): FieldError[] {
  const readiness = listAt(spec, "readinessGates").flatMap((gate, index) => {
    const type = textAt(gate, "conditionType");
    return invalidAll(`${path}.readinessGates[${index}].conditionType`, type, qualifiedNameErrors(type));
  });
  const scheduling = listAt(spec, "schedulingGates").flatMap((gate, index) => {
    const name = textAt(gate, "name");
    return invalidAll(`${path}.schedulingGates[${index}]`, name, qualifiedNameErrors(name));
  });
  return [...readiness, ...scheduling];
}

const nameRules: readonly (readonly [string, (text: string) => string[]])[] = [
  ["serviceAccountName", dnsSubdomainErrors],
  ["nodeName", dnsSubdomainErrors],
  ["hostname", dnsLabelErrors],
  ["subdomain", dnsLabelErrors],
  ["priorityClassName", dnsSubdomainErrors],
  ["runtimeClassName", dnsSubdomainErrors],
];

function nameErrors(spec: JsonObject, path: string): FieldError[] {
  return nameRules.flatMap(([field, rule]) => {
    const name = textAt(spec, field);
    return name === "" ? [] : invalidAll(`${path}.${field}`, name, rule(name));
  });
}

function deadlineErrors(spec: JsonObject, path: string): FieldError[] {
  const seconds = spec["activeDeadlineSeconds"];
  if (typeof seconds !== "number" || (seconds >= 1 && seconds <= maxSeconds)) return [];
  return [
    invalid(`${path}.activeDeadlineSeconds`, seconds, `must be between 1 and ${maxSeconds}, inclusive`),
  ];
}

function hostAliasErrors(spec: JsonObject, path: string): FieldError[] {
  return listAt(spec, "hostAliases").flatMap((alias, index) => [
    ...addressErrors(`${path}[${index}].ip`, textAt(alias, "ip")),
    ...listAt(alias, "hostnames").flatMap((name, place) =>
      invalidAll(`${path}[${index}].hostnames[${place}]`, name, dnsSubdomainErrors(textOf(name))),
    ),
  ]);
}

const updateRule =
  "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`," +
  "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations)," +
  "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/** A changed pod: nearly all of its spec is fixed once it exists. */
export function podUpdateErrors(pod: JsonObject, old: JsonObject): FieldError[] {
  const [spec, former] = [objectAt(pod, "spec"), objectAt(old, "spec")];
  const found = [...metaUpdateErrors(pod, old), ...podErrors(pod)];
  for (const list of ["containers", "initContainers"]) {
    if (listAt(spec, list).length !== listAt(former, list).length) {
      return [...found, forbidden(`spec.${list}`, "pod updates may not add or remove containers")];
    }
  }
  const tolerations = listAt(spec, "tolerations");
  const lost = listAt(former, "tolerations").some(
    (item) => !tolerations.some((other) => sameJson(item, other)),
  );
  if (!lost && sameJson(fixedPart(spec), fixedPart(former))) return found;
  return [...found, forbidden("spec", updateRule)];
}

/** The part of a pod's spec that may not change. */
function fixedPart(spec: JsonObject): JsonObject {
  const { activeDeadlineSeconds: _a, tolerations: _t, schedulingGates, ...rest } = spec;
  const withoutImages = (list: string): unknown =>
    listAt(spec, list).map((container) => ({ ...(isJsonObject(container) ? container : {}), image: "" }));
  const gated = Array.isArray(schedulingGates) && schedulingGates.length > 0;
  return {
    ...rest,
    ...(gated ? { nodeSelector: undefined, affinity: undefined } : {}),
    containers: withoutImages("containers"),
    initContainers: withoutImages("initContainers"),
    // Bound by the scheduler or by whoever creates the binding.
    nodeName: at(spec, "nodeName"),
  };
}
