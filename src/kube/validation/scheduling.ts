import { at, listAt, numberOf, objectAt, textAt, textOf, type JsonObject } from "../json.ts";
import { duplicate, invalid, invalidAll, notSupported, required, type FieldError } from "./errors.ts";
import { labelValueErrors, qualifiedNameErrors } from "./names.ts";
import { selectorErrors } from "./selector.ts";

const effects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
const preferred = "preferredDuringSchedulingIgnoredDuringExecution";
const requiredTerms = "requiredDuringSchedulingIgnoredDuringExecution";

/** Affinity to nodes and to and from pods. */
export function affinityErrors(affinity: JsonObject, path: string): FieldError[] {
  return [
    ...nodeAffinityErrors(objectAt(affinity, "nodeAffinity"), `${path}.nodeAffinity`),
    ...["podAffinity", "podAntiAffinity"].flatMap((kind) =>
      podAffinityErrors(objectAt(affinity, kind), `${path}.${kind}`),
    ),
  ];
}

function nodeAffinityErrors(affinity: JsonObject, path: string): FieldError[] {
  const found: FieldError[] = [];
  if (affinity[requiredTerms] !== undefined) {
    const terms = listAt(affinity, requiredTerms, "nodeSelectorTerms");
    const here = `${path}.${requiredTerms}.nodeSelectorTerms`;
    if (terms.length === 0) found.push(required(here, "must have at least one node selector term"));
    found.push(...terms.flatMap((term, index) => nodeTermErrors(term, `${here}[${index}]`)));
  }
  const weighted = listAt(affinity, preferred).flatMap((term, index) => [
    ...weightErrors(term, `${path}.${preferred}[${index}]`),
    ...nodeTermErrors(at(term, "preference"), `${path}.${preferred}[${index}].preference`),
  ]);
  return [...found, ...weighted];
}

function weightErrors(term: unknown, path: string): FieldError[] {
  const weight = numberOf(at(term, "weight"));
  return weight > 0 && weight <= 100 ? [] : [invalid(`${path}.weight`, weight, "must be in the range 1-100")];
}

function nodeTermErrors(term: unknown, path: string): FieldError[] {
  return listAt(term, "matchExpressions").flatMap((expression, index) => {
    const here = `${path}.matchExpressions[${index}]`;
    const [key, operator] = [textAt(expression, "key"), textAt(expression, "operator")];
    return [
      ...operatorErrors(operator, listAt(expression, "values").length, here),
      ...invalidAll(`${here}.key`, key, qualifiedNameErrors(key)),
    ];
  });
}

function operatorErrors(operator: string, values: number, path: string): FieldError[] {
  if (operator === "In" || operator === "NotIn") {
    return values > 0
      ? []
      : [required(`${path}.values`, "must be specified when `operator` is 'In' or 'NotIn'")];
  }
  if (operator === "Gt" || operator === "Lt") {
    return values === 1
      ? []
      : [required(`${path}.values`, "must be specified single value when `operator` is 'Lt' or 'Gt'")];
  }
  if (operator === "Exists" || operator === "DoesNotExist") return [];
  return [invalid(`${path}.operator`, operator, "not a valid selector operator")];
}

function podAffinityErrors(affinity: JsonObject, path: string): FieldError[] {
  const hard = listAt(affinity, requiredTerms).flatMap((term, index) =>
    podTermErrors(term, `${path}.${requiredTerms}[${index}]`),
  );
  const soft = listAt(affinity, preferred).flatMap((term, index) => [
    ...weightErrors(term, `${path}.${preferred}[${index}]`),
    ...podTermErrors(at(term, "podAffinityTerm"), `${path}.${preferred}[${index}].podAffinityTerm`),
  ]);
  return [...hard, ...soft];
}

function podTermErrors(term: unknown, path: string): FieldError[] {
  const key = textAt(term, "topologyKey");
  return [
    ...selectorErrors(at(term, "labelSelector"), `${path}.labelSelector`),
    ...selectorErrors(at(term, "namespaceSelector"), `${path}.namespaceSelector`),
    ...(key === "" ? [required(`${path}.topologyKey`, "can not be empty")] : []),
    ...invalidAll(`${path}.topologyKey`, key, qualifiedNameErrors(key)),
  ];
}

/** Constraints on how pods spread over the cluster. */
export function spreadErrors(constraints: readonly unknown[], path: string): FieldError[] {
  const supported = ["DoNotSchedule", "ScheduleAnyway"];
  const seen = new Set<string>();
  return constraints.flatMap((constraint, index) => {
    const here = `${path}[${index}]`;
    const [skew, key, action] = [
      numberOf(at(constraint, "maxSkew")),
      textAt(constraint, "topologyKey"),
      textAt(constraint, "whenUnsatisfiable"),
    ];
    const found: FieldError[] = [];
    if (skew <= 0) found.push(invalid(`${here}.maxSkew`, skew, "must be greater than zero"));
    if (key === "") found.push(required(`${here}.topologyKey`, "can not be empty"));
    else found.push(...invalidAll(`${here}.topologyKey`, key, qualifiedNameErrors(key)));
    if (!supported.includes(action)) found.push(notSupported(`${here}.whenUnsatisfiable`, action, supported));
    const pair = `{${key}, ${action}}`;
    if (seen.has(pair)) found.push(duplicate(`${here}.{topologyKey, whenUnsatisfiable}`, pair));
    seen.add(pair);
    return [...found, ...selectorErrors(at(constraint, "labelSelector"), `${here}.labelSelector`)];
  });
}

/** Tolerations of taints. */
export function tolerationErrors(tolerations: readonly unknown[], path: string): FieldError[] {
  return tolerations.flatMap((toleration, index) => {
    const here = `${path}[${index}]`;
    const [key, operator, value, effect] = ["key", "operator", "value", "effect"].map((field) =>
      textAt(toleration, field),
    );
    const found = key === "" ? [] : invalidAll(`${here}.key`, key, qualifiedNameErrors(textOf(key)));
    if (key === "" && operator !== "Exists") {
      found.push(
        invalid(
          `${here}.operator`,
          operator,
          'operator must be Exists when `key` is empty, which means "match all values and all keys"',
        ),
      );
    }
    if (at(toleration, "tolerationSeconds") !== undefined && effect !== "NoExecute") {
      found.push(
        invalid(`${here}.effect`, effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"),
      );
    }
    if (operator === "Exists") {
      if (value !== "")
        found.push(invalid(`${here}.operator`, value, "value must be empty when `operator` is 'Exists'"));
    } else if (operator === "Equal" || operator === "") {
      found.push(...invalidAll(`${here}.operator`, value, labelValueErrors(textOf(value))));
    } else found.push(notSupported(`${here}.operator`, operator, ["Equal", "Exists"]));
    if (effect !== "" && !effects.includes(textOf(effect)))
      found.push(notSupported(`${here}.effect`, effect, effects));
    return found;
  });
}

/** Taints of a node. */
export function taintErrors(taints: readonly unknown[], path: string): FieldError[] {
  const seen = new Set<string>();
  return taints.flatMap((taint, index) => {
    const here = `${path}[${index}]`;
    const [key, value, effect] = [textAt(taint, "key"), textAt(taint, "value"), textAt(taint, "effect")];
    const found = [
      ...invalidAll(`${here}.key`, key, qualifiedNameErrors(key)),
      ...invalidAll(`${here}.value`, value, labelValueErrors(value)),
    ];
    if (effect === "") found.push(required(`${here}.effect`));
    else if (!effects.includes(effect)) found.push(notSupported(`${here}.effect`, effect, effects));
    const pair = `${key}:${effect}`;
    if (seen.has(pair))
      found.push(duplicate(here, { Key: key, Value: value, Effect: effect, TimeAdded: null }));
    seen.add(pair);
    return found;
  });
}
