import { labelValueErrors, qualifiedNameErrors } from "../validation/names.ts";
import { quoted } from "../validation/errors.ts";

type Operator = "in" | "notin" | "exists" | "!" | "gt" | "lt";

interface Requirement {
  readonly key: string;
  readonly operator: Operator;
  readonly values: readonly string[];
}

/** A label selector of a query: all requirements must hold. */
export type LabelSelector = readonly Requirement[];

/** A selector that cannot be read; the message is worded as Kubernetes words it. */
export class SelectorError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "SelectorError";
  }
}

interface Token {
  readonly kind: "identifier" | "operator" | "in" | "notin" | "end";
  readonly text: string;
}

const operators = ["!=", "==", "!", "=", "(", ")", ",", "<", ">"];
const special = /[=!(),<>\s]/;
/** Longer selectors are refused. */
const maxLength = 64 * 1024;

function tokens(text: string): Token[] {
  const found: Token[] = [];
  let at = 0;
  while (at < text.length) {
    const rest = text[at] ?? "";
    if (/\s/.test(rest)) {
      at += 1;
      continue;
    }
    const operator = operators.find((candidate) => text.startsWith(candidate, at));
    if (operator !== undefined) {
      found.push({ kind: "operator", text: operator });
      at += operator.length;
      continue;
    }
    let end = at;
    while (end < text.length && !special.test(text[end] ?? "")) end += 1;
    const word = text.slice(at, end);
    found.push({ kind: word === "in" || word === "notin" ? word : "identifier", text: word });
    at = end;
  }
  return found;
}

const end: Token = { kind: "end", text: "" };

class Reader {
  readonly #tokens: readonly Token[];
  #next = 0;

  constructor(found: readonly Token[]) {
    this.#tokens = found;
  }

  /** The next token without taking it. Where a value is expected, `in` and `notin` are ordinary words. */
  peek(asValue = false): Token {
    const token = this.#tokens[this.#next] ?? end;
    return asValue && (token.kind === "in" || token.kind === "notin")
      ? { kind: "identifier", text: token.text }
      : token;
  }

  take(asValue = false): Token {
    const token = this.peek(asValue);
    this.#next += 1;
    return token;
  }
}

/**
 * Reads a label selector: `app=web,tier in (a, b),!canary,x!=y,n>3`. An empty text selects everything.
 * @throws SelectorError worded as an API server words it.
 */
export function parseLabelSelector(text: string): LabelSelector {
  if (text.length > maxLength) throw new SelectorError("unable to parse requirement: selector is too long");
  const reader = new Reader(tokens(text));
  const requirements: Requirement[] = [];
  if (reader.peek().kind === "end") return requirements;
  for (;;) {
    const token = reader.peek(true);
    if (token.kind !== "identifier" && token.text !== "!") {
      throw new SelectorError(`found '${token.text}', expected: !, identifier, or 'end of string'`);
    }
    requirements.push(parseRequirement(reader));
    const separator = reader.take();
    if (separator.kind === "end") break;
    if (separator.text !== ",") {
      throw new SelectorError(`found '${separator.text}', expected: ',' or 'end of string'`);
    }
    const next = reader.peek(true);
    if (next.kind !== "identifier" && next.text !== "!") {
      throw new SelectorError(`found '${next.text}', expected: identifier after ','`);
    }
  }
  return requirements.toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
}

function parseRequirement(reader: Reader): Requirement {
  const negated = reader.peek().text === "!";
  if (negated) reader.take();
  const name = reader.take(true);
  if (name.kind !== "identifier") {
    throw new SelectorError(`unable to parse requirement: found '${name.text}', expected: identifier`);
  }
  checkKey(name.text);
  if (negated) return { key: name.text, operator: "!", values: [] };
  const next = reader.peek();
  if (next.kind === "end" || next.text === ",") return { key: name.text, operator: "exists", values: [] };
  return parseComparison(name.text, reader);
}

function parseComparison(key: string, reader: Reader): Requirement {
  const operator = reader.take();
  if (operator.kind === "in" || operator.kind === "notin") {
    return checked({ key, operator: operator.kind, values: parseValues(reader) });
  }
  const known: Record<string, Operator> = { "=": "in", "==": "in", "!=": "notin", ">": "gt", "<": "lt" };
  const meaning = known[operator.text];
  if (operator.kind !== "operator" || meaning === undefined) {
    throw new SelectorError(
      `unable to parse requirement: found '${operator.text}', expected: in, notin, =, ==, !=, gt, lt`,
    );
  }
  return checked({ key, operator: meaning, values: [parseExactValue(reader)] });
}

function parseExactValue(reader: Reader): string {
  const next = reader.peek(true);
  if (next.kind === "end" || next.text === ",") return "";
  const value = reader.take(true);
  if (value.kind === "identifier") return value.text;
  throw new SelectorError(`unable to parse requirement: found '${value.text}', expected: identifier`);
}

function parseValues(reader: Reader): string[] {
  const open = reader.take(true);
  if (open.text !== "(")
    throw new SelectorError(`unable to parse requirement: found '${open.text}' expected: '('`);
  const first = reader.peek(true);
  if (first.kind !== "identifier" && first.text !== "," && first.text !== ")") {
    throw new SelectorError(
      `unable to parse requirement: found '${first.text}', expected: ',', ')' or identifier`,
    );
  }
  const values = new Set<string>();
  let expectValue = true;
  for (;;) {
    const token = reader.take(true);
    if (token.kind === "identifier") {
      values.add(token.text);
      expectValue = false;
    } else if (token.text === ",") {
      if (expectValue) values.add("");
      expectValue = true;
    } else if (token.text === ")") {
      if (expectValue) values.add("");
      return [...values].toSorted();
    } else {
      throw new SelectorError(
        `unable to parse requirement: found '${token.text}', expected: ',', or identifier`,
      );
    }
  }
}

function checkKey(key: string): void {
  const errors = qualifiedNameErrors(key);
  if (errors.length > 0) {
    throw new SelectorError(
      `unable to parse requirement: <nil>: Invalid value: ${quoted(key)}: ${errors.join("; ")}`,
    );
  }
}

function checked(requirement: Requirement): Requirement {
  requirement.values.forEach((value, index) => {
    const errors = labelValueErrors(value);
    if (errors.length > 0) {
      throw new SelectorError(
        `unable to parse requirement: values[${index}][${requirement.key}]: Invalid value: ${quoted(value)}: ${errors.join("; ")}`,
      );
    }
  });
  return requirement;
}

/** Whether labels fulfil every requirement of a selector. */
export function matchesLabels(
  selector: LabelSelector,
  labels: Readonly<Record<string, string>> | undefined,
): boolean {
  return selector.every((requirement) => fulfils(requirement, labels ?? {}));
}

function fulfils({ key, operator, values }: Requirement, labels: Readonly<Record<string, string>>): boolean {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case "in":
      return value !== undefined && values.includes(value);
    case "notin":
      return value === undefined || !values.includes(value);
    case "exists":
      return value !== undefined;
    case "!":
      return value === undefined;
    default: {
      const [left, right] = [integer(value), integer(values[0])];
      if (left === undefined || right === undefined) return false;
      return operator === "gt" ? left > right : left < right;
    }
  }
}

const integer = (text: string | undefined): bigint | undefined =>
  text !== undefined && /^[+-]?\d{1,19}$/.test(text) ? BigInt(text) : undefined;
