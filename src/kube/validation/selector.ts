import { at, listAt, objectAt, textAt, textOf } from "../json.ts";
import { forbidden, invalid, invalidAll, required, type FieldError } from "./errors.ts";
import { labelErrors } from "./meta.ts";
import { labelValueErrors, qualifiedNameErrors } from "./names.ts";

const withValues = new Set(["In", "NotIn"]);
const withoutValues = new Set(["Exists", "DoesNotExist"]);

/** A selector object: `matchLabels` and `matchExpressions`. */
export function selectorErrors(selector: unknown, path: string): FieldError[] {
  return [
    ...labelErrors(at(selector, "matchLabels"), `${path}.matchLabels`),
    ...listAt(selector, "matchExpressions").flatMap((expression, index) =>
      requirementErrors(expression, `${path}.matchExpressions[${index}]`),
    ),
  ];
}

function requirementErrors(expression: unknown, path: string): FieldError[] {
  const operator = textAt(expression, "operator");
  const values = listAt(expression, "values");
  const found: FieldError[] = [];
  if (withValues.has(operator)) {
    if (values.length === 0) {
      found.push(required(`${path}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
    }
  } else if (withoutValues.has(operator)) {
    if (values.length > 0) {
      found.push(
        forbidden(`${path}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
      );
    }
  } else found.push(invalid(`${path}.operator`, operator, "not a valid selector operator"));
  const key = textAt(expression, "key");
  return [
    ...found,
    ...invalidAll(`${path}.key`, key, qualifiedNameErrors(key)),
    ...values.flatMap((value, index) =>
      invalidAll(`${path}.values[${index}]`, value, labelValueErrors(textOf(value))),
    ),
  ];
}

/** Whether a selector can be used at all: known operators, values where they are needed. */
export function isUsableSelector(selector: unknown): boolean {
  return listAt(selector, "matchExpressions").every((expression) => {
    const operator = textAt(expression, "operator");
    const count = listAt(expression, "values").length;
    return withValues.has(operator) ? count > 0 : withoutValues.has(operator) && count === 0;
  });
}

/** Whether a selector object selects everything. */
export function isEmptySelector(selector: unknown): boolean {
  return (
    Object.keys(objectAt(selector, "matchLabels")).length === 0 &&
    listAt(selector, "matchExpressions").length === 0
  );
}
