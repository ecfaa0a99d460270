import { at, isJsonObject, listAt, objectAt, textAt, type JsonObject } from "../json.ts";
import { isUsableSelector } from "../validation/selector.ts";
import { matchesLabels, SelectorError, type LabelSelector } from "./label.ts";

const operators = new Map([
  ["In", "in"],
  ["NotIn", "notin"],
  ["Exists", "exists"],
  ["DoesNotExist", "!"],
] as const);

/**
 * Whether labels fulfil a selector object (`matchLabels`, `matchExpressions`). As in the API, no selector at all matches
 * nothing and an empty one everything.
 */
export function labelSelectorMatches(
  selector: unknown,
  labels: Readonly<Record<string, string>> | undefined,
): boolean {
  return isJsonObject(selector) && matchesLabels(requirementsOf(selector), labels);
}

/** A selector object made ready for `matchesLabels`. Throws SelectorError for an unknown operator or missing values. */
export function parseSelectorObject(selector: unknown): LabelSelector {
  if (isJsonObject(selector) && isUsableSelector(selector)) return requirementsOf(selector);
  throw new SelectorError(`not a usable label selector: ${JSON.stringify(selector)}`);
}

function requirementsOf(selector: JsonObject): LabelSelector {
  const equal = Object.entries(objectAt(selector, "matchLabels")).map(
    ([key, value]): LabelSelector[number] => ({ key, operator: "in", values: [String(value)] }),
  );
  const expressions = listAt(selector, "matchExpressions").map((expression): LabelSelector[number] => ({
    key: textAt(expression, "key"),
    operator: operatorOf(textAt(expression, "operator")),
    values: listAt(expression, "values").map(String),
  }));
  return [...equal, ...expressions];
}

function operatorOf(name: string): LabelSelector[number]["operator"] {
  for (const [known, operator] of operators) if (known === name) return operator;
  // Validation refuses any other operator; a value that no label has never matches.
  return "lt";
}

/** A selector object as text, as tables show it: `app=web,x,z notin (1,2)`. */
export function selectorText(selector: unknown): string {
  if (!isJsonObject(selector)) return "<none>";
  const equal = Object.keys(objectAt(selector, "matchLabels"))
    .toSorted()
    .map((key) => `${key}=${textAt(selector, "matchLabels", key)}`);
  const expressions = listAt(selector, "matchExpressions").map((expression) => {
    const [key, operator] = [textAt(expression, "key"), textAt(expression, "operator")];
    const values = listAt(expression, "values").map(String).toSorted().join(",");
    if (operator === "Exists") return key;
    if (operator === "DoesNotExist") return `!${key}`;
    return `${key} ${operator === "In" ? "in" : "notin"} (${values})`;
  });
  const all = [...equal, ...expressions];
  return all.length === 0 ? "<none>" : all.join(",");
}

/** A plain label map as text: `app=web,tier=db`; `<none>` when it is empty. */
export function labelMapText(labels: unknown): string {
  const keys = isJsonObject(labels) ? Object.keys(labels).toSorted() : [];
  return keys.length === 0 ? "<none>" : keys.map((key) => `${key}=${String(at(labels, key))}`).join(",");
}
