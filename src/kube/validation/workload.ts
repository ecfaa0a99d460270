import {
  at,
  isJsonObject,
  listAt,
  numberOf,
  objectAt,
  sameJson,
  scalarText,
  textAt,
  type JsonObject,
} from "../json.ts";
import { labelSelectorMatches } from "../selectors/object.ts";
import { forbidden, invalid, invalidAll, notSupported, required, type FieldError } from "./errors.ts";
import {
  annotationErrors,
  immutable,
  labelErrors,
  metaErrors,
  metaUpdateErrors,
  negativeErrors,
} from "./meta.ts";
import { dnsLabelErrors, dnsSubdomainErrors, percentErrors } from "./names.ts";
import { podSpecErrors } from "./pod.ts";
import { countOrPercentErrors } from "./ports.ts";
import { isEmptySelector, isUsableSelector, selectorErrors } from "./selector.ts";

const noMatch = "`selector` does not match template `labels`";

/** A value as the server's internal type spells it in messages. */
const internalStrategy = (strategy: JsonObject): JsonObject => ({
  Type: strategy["type"] ?? "",
  RollingUpdate: strategy["rollingUpdate"] ?? null,
});

export function deploymentErrors(deployment: JsonObject): FieldError[] {
  return [
    ...metaErrors(deployment, dnsSubdomainErrors, true),
    ...deploymentSpec(objectAt(deployment, "spec")),
  ];
}

export function deploymentUpdateErrors(deployment: JsonObject, old: JsonObject): FieldError[] {
  const spec = objectAt(deployment, "spec");
  return [...metaUpdateErrors(deployment, old), ...deploymentSpec(spec), ...selectorChange(deployment, old)];
}

function selectorChange(object: JsonObject, old: JsonObject): FieldError[] {
  const selector = at(object, "spec", "selector");
  return sameJson(selector, at(old, "spec", "selector"))
    ? []
    : [invalid("spec.selector", selector, immutable)];
}

function deploymentSpec(spec: JsonObject): FieldError[] {
  const [deadline, minReady] = [spec["progressDeadlineSeconds"], numberOf(spec["minReadySeconds"])];
  const found = [
    ...negativeErrors(spec, "spec", "replicas"),
    ...selectorAndTemplate(spec, "deployment"),
    ...deploymentStrategy(objectAt(spec, "strategy")),
    ...negativeErrors(spec, "spec", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"),
  ];
  if (typeof deadline === "number" && deadline <= minReady) {
    found.push(invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds"));
  }
  return found;
}

/** The selector of a workload, and its pod template, which the selector must match. */
function selectorAndTemplate(spec: JsonObject, kindName: string): FieldError[] {
  const selector = spec["selector"];
  const found: FieldError[] = [];
  if (!isJsonObject(selector)) found.push(required("spec.selector"));
  else {
    found.push(...selectorErrors(selector, "spec.selector"));
    if (isEmptySelector(selector)) {
      found.push(invalid("spec.selector", selector, `empty selector is invalid for ${kindName}`));
    }
    if (!isUsableSelector(selector))
      return [...found, invalid("spec.selector", selector, "invalid label selector")];
  }
  return [...found, ...templateErrors(spec, selector)];
}

/** The labels of a template as a map of texts. */
function templateLabels(spec: JsonObject): Record<string, string> | undefined {
  const labels = at(spec, "template", "metadata", "labels");
  if (!isJsonObject(labels)) return undefined;
  return Object.fromEntries(Object.entries(labels).map(([key, value]) => [key, String(value)]));
}

function templateErrors(spec: JsonObject, selector: unknown): FieldError[] {
  const labels = templateLabels(spec);
  const path = "spec.template";
  const matches =
    isJsonObject(selector) && (isEmptySelector(selector) || labelSelectorMatches(selector, labels));
  return [
    ...(matches ? [] : [invalid(`${path}.metadata.labels`, labels, noMatch)]),
    ...labelErrors(labels, `${path}.labels`),
    ...annotationErrors(at(spec, "template", "metadata", "annotations"), `${path}.annotations`),
    ...podSpecErrors(objectAt(spec, "template", "spec"), `${path}.spec`),
    ...restartAlways(spec),
  ];
}

function restartAlways(spec: JsonObject): FieldError[] {
  const policy = textAt(spec, "template", "spec", "restartPolicy");
  return policy === "Always" ? [] : [notSupported("spec.template.spec.restartPolicy", policy, ["Always"])];
}

function noDeadline(spec: JsonObject, kindName: string): FieldError[] {
  const path = "spec.template.spec.activeDeadlineSeconds";
  return at(spec, "template", "spec", "activeDeadlineSeconds") === undefined
    ? []
    : [forbidden(path, `activeDeadlineSeconds in ${kindName} is not Supported`)];
}

/** A count or percentage as a number; percentages of 0 count as 0. */
const amount = (value: unknown): number => Number.parseInt(scalarText(value ?? 0), 10);

const aboveHundred = (value: unknown): boolean =>
  typeof value === "string" && percentErrors(value).length === 0 && amount(value) > 100;

function deploymentStrategy(strategy: JsonObject): FieldError[] {
  const rolling = strategy["rollingUpdate"];
  const path = "spec.strategy";
  if (strategy["type"] === "Recreate") {
    if (rolling === undefined) return [];
    return [forbidden(`${path}.rollingUpdate`, "may not be specified when strategy `type` is 'Recreate'")];
  }
  if (strategy["type"] !== "RollingUpdate") {
    return [notSupported(path, internalStrategy(strategy), ["Recreate", "RollingUpdate"])];
  }
  return rollingErrors(objectAt(strategy, "rollingUpdate"), `${path}.rollingUpdate`);
}

function rollingErrors(rolling: JsonObject, path: string): FieldError[] {
  const { maxUnavailable, maxSurge } = rolling;
  const found = [
    ...countOrPercentErrors(maxUnavailable, `${path}.maxUnavailable`, percentErrors),
    ...countOrPercentErrors(maxSurge, `${path}.maxSurge`, percentErrors),
  ];
  if (amount(maxUnavailable) === 0 && amount(maxSurge) === 0) {
    found.push(invalid(`${path}.maxUnavailable`, maxUnavailable, "may not be 0 when `maxSurge` is 0"));
  }
  if (aboveHundred(maxUnavailable)) {
    found.push(invalid(`${path}.maxUnavailable`, maxUnavailable, "must not be greater than 100%"));
  }
  return found;
}

export function replicaSetErrors(set: JsonObject): FieldError[] {
  return [...metaErrors(set, dnsSubdomainErrors, true), ...replicaSetSpec(objectAt(set, "spec"))];
}

export function replicaSetUpdateErrors(set: JsonObject, old: JsonObject): FieldError[] {
  return [
    ...metaUpdateErrors(set, old),
    ...replicaSetSpec(objectAt(set, "spec")),
    ...selectorChange(set, old),
  ];
}

const replicaSetSpec = (spec: JsonObject): FieldError[] => [
  ...negativeErrors(spec, "spec", "replicas", "minReadySeconds"),
  ...selectorAndTemplate(spec, "deployment"),
  ...noDeadline(spec, "ReplicaSet"),
];

export function daemonSetErrors(set: JsonObject, old?: JsonObject): FieldError[] {
  const spec = objectAt(set, "spec");
  const meta = old ? metaUpdateErrors(set, old) : metaErrors(set, dnsSubdomainErrors, true);
  return [
    ...meta,
    ...selectorAndTemplate(spec, "daemonset"),
    ...noDeadline(spec, "DaemonSet"),
    ...negativeErrors(spec, "spec", "minReadySeconds"),
    ...daemonSetStrategy(objectAt(spec, "updateStrategy")),
    ...negativeErrors(spec, "spec", "revisionHistoryLimit"),
    ...(old ? selectorChange(set, old) : []),
  ];
}

function daemonSetStrategy(strategy: JsonObject): FieldError[] {
  const path = "spec.updateStrategy";
  if (strategy["type"] === "OnDelete") return [];
  if (strategy["type"] !== "RollingUpdate") {
    return [notSupported(path, internalStrategy(strategy), ["OnDelete", "RollingUpdate"])];
  }
  const { maxUnavailable, maxSurge } = objectAt(strategy, "rollingUpdate");
  const here = `${path}.rollingUpdate`;
  const found = [
    ...countOrPercentErrors(maxUnavailable, `${here}.maxUnavailable`, percentErrors),
    ...countOrPercentErrors(maxSurge, `${here}.maxSurge`, percentErrors),
  ];
  const [unavailable, surge] = [amount(maxUnavailable), amount(maxSurge)];
  if (unavailable > 0 && surge > 0) {
    found.push(invalid(`${here}.maxSurge`, maxSurge, "may not be set when maxUnavailable is non-zero"));
  }
  if (unavailable === 0 && surge === 0) {
    found.push(required(`${here}.maxUnavailable`, "cannot be 0 when maxSurge is 0"));
  }
  return found;
}

const mutableStatefulSet = [
  "replicas",
  "ordinals",
  "template",
  "updateStrategy",
  "revisionHistoryLimit",
  "persistentVolumeClaimRetentionPolicy",
  "minReadySeconds",
];
const fixedStatefulSet =
  "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', " +
  "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";

export function statefulSetErrors(set: JsonObject, old?: JsonObject): FieldError[] {
  const spec = objectAt(set, "spec");
  const meta = old ? metaUpdateErrors(set, old) : metaErrors(set, dnsSubdomainErrors, true);
  return [...meta, ...statefulSetSpec(spec), ...(old ? statefulSetChange(spec, objectAt(old, "spec")) : [])];
}

const fixed = (spec: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(spec).filter(([field]) => !mutableStatefulSet.includes(field)));

function statefulSetChange(spec: JsonObject, old: JsonObject): FieldError[] {
  return sameJson(fixed(spec), fixed(old)) ? [] : [forbidden("spec", fixedStatefulSet)];
}

function statefulSetSpec(spec: JsonObject): FieldError[] {
  const found: FieldError[] = [];
  const policy = textAt(spec, "podManagementPolicy");
  if (policy === "") found.push(required("spec.podManagementPolicy"));
  else if (policy !== "OrderedReady" && policy !== "Parallel") {
    found.push(invalid("spec.podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'"));
  }
  const strategy = objectAt(spec, "updateStrategy");
  const type = strategy["type"];
  if (type !== "RollingUpdate" && type !== "OnDelete") {
    found.push(
      invalid("spec.updateStrategy", internalStrategy(strategy), "must be 'RollingUpdate' or 'OnDelete'"),
    );
  }
  const service = textAt(spec, "serviceName");
  return [
    ...found,
    ...negativeErrors(objectAt(strategy, "rollingUpdate"), "spec.updateStrategy.rollingUpdate", "partition"),
    ...negativeErrors(spec, "spec", "replicas", "minReadySeconds"),
    ...(service === "" ? [] : invalidAll("spec.serviceName", service, dnsLabelErrors(service))),
    ...selectorAndTemplate(spec, "statefulset"),
    ...noDeadline(spec, "StatefulSet"),
    ...listAt(spec, "volumeClaimTemplates").flatMap((claim, index) => claimName(claim, index)),
  ];
}

function claimName(claim: unknown, index: number): FieldError[] {
  const name = textAt(claim, "metadata", "name");
  const path = `spec.volumeClaimTemplates[${index}].metadata.name`;
  return name === "" ? [] : invalidAll(path, name, dnsSubdomainErrors(name));
}
