/**
 * Formats of names and values. Each function returns what is wrong with the text, in the words of the API; an empty list
 * means that it is right.
 */
interface Format {
  readonly what: string;
  readonly pattern: string;
  readonly examples: readonly string[];
  readonly max: number;
}

const alphanumericEnds = "and must start and end with an alphanumeric character";
const labelPattern = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const subdomainPattern = `${labelPattern}(\\.${labelPattern})*`;
const namePattern = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";

const label: Format = {
  what: `a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', ${alphanumericEnds}`,
  pattern: labelPattern,
  examples: ["my-name", "123-abc"],
  max: 63,
};
const subdomain: Format = {
  what: `a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', ${alphanumericEnds}`,
  pattern: subdomainPattern,
  examples: ["example.com"],
  max: 253,
};
const wildcard: Format = {
  what: "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
  pattern: `\\*\\.${subdomainPattern}`,
  examples: ["*.example.com"],
  max: 253,
};
const underscorePart = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?";
const searchPath: Format = {
  what: `a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', ${alphanumericEnds}`,
  pattern: `${underscorePart}(\\.${underscorePart})*`,
  examples: ["example.com"],
  max: 253,
};
const label1035: Format = {
  what: "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
  pattern: "[a-z]([-a-z0-9]*[a-z0-9])?",
  examples: ["my-name", "abc-123"],
  max: 63,
};
const namePart: Format = {
  what: `must consist of alphanumeric characters, '-', '_' or '.', ${alphanumericEnds}`,
  pattern: namePattern,
  examples: ["MyName", "my.name", "123-abc"],
  max: 63,
};
const labelValue: Format = {
  what: `a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', ${alphanumericEnds}`,
  pattern: `(${namePattern})?`,
  examples: ["MyValue", "my_value", "12345"],
  max: 63,
};
const configKey: Format = {
  what: "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
  pattern: "[-._a-zA-Z0-9]+",
  examples: ["key.name", "KEY_NAME", "key-name"],
  max: 253,
};
const headerName: Format = {
  what: "a valid HTTP header must consist of alphanumeric characters or '-'",
  pattern: "[-A-Za-z0-9]+",
  examples: ["X-Header-Name"],
  max: Number.POSITIVE_INFINITY,
};
const percent: Format = {
  what: "a valid percent string must be a numeric string followed by an ending '%'",
  pattern: "[0-9]+%",
  examples: ["1%", "93%"],
  max: Number.POSITIVE_INFINITY,
};

const compiled = new Map<string, RegExp>();

/** Whether the whole text matches a pattern. */
function matches(pattern: string, text: string): boolean {
  let expression = compiled.get(pattern);
  if (!expression) {
    // Go patterns escape the slash and the dash inside classes in the same way.
    expression = new RegExp(`^(?:${pattern})$`);
    compiled.set(pattern, expression);
  }
  return expression.test(text);
}

/** `must be x (e.g. 'a',  or 'b', regex used for validation is 'p')` */
export function patternMessage(what: string, pattern: string, examples: readonly string[] = []): string {
  if (examples.length === 0) return `${what} (regex used for validation is '${pattern}')`;
  const list = examples.map((example) => `'${example}', `).join(" or ");
  return `${what} (e.g. ${list}regex used for validation is '${pattern}')`;
}

const tooLongMessage = (max: number): string => `must be no more than ${max} characters`;

function check(format: Format, text: string): string[] {
  const found: string[] = [];
  if (Buffer.byteLength(text) > format.max) found.push(tooLongMessage(format.max));
  else if (matches(format.pattern, text)) return found;
  if (!matches(format.pattern, text))
    found.push(patternMessage(format.what, format.pattern, format.examples));
  return found;
}

export const dnsLabelErrors = (text: string): string[] => check(label, text);
export const dnsSubdomainErrors = (text: string): string[] => check(subdomain, text);
export const searchPathErrors = (text: string): string[] => check(searchPath, text);
export const wildcardErrors = (text: string): string[] => check(wildcard, text);
export const dns1035LabelErrors = (text: string): string[] => check(label1035, text);
export const labelValueErrors = (text: string): string[] => check(labelValue, text);
export const headerNameErrors = (text: string): string[] => check(headerName, text);
export const percentErrors = (text: string): string[] => check(percent, text);

/** A key of labels or annotations: `name` or `dns.subdomain/name`. */
export function qualifiedNameErrors(text: string): string[] {
  const parts = text.split("/");
  const [first = "", second] = parts;
  if (parts.length > 2) {
    const message = patternMessage(namePart.what, namePart.pattern, namePart.examples);
    return [
      `a qualified name ${message} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
    ];
  }
  const found: string[] = [];
  if (second !== undefined) {
    if (first === "") found.push("prefix part must be non-empty");
    else found.push(...dnsSubdomainErrors(first).map((message) => `prefix part ${message}`));
  }
  const name = second ?? first;
  if (name === "") found.push("name part must be non-empty");
  else if (name.length > namePart.max) found.push(`name part ${tooLongMessage(namePart.max)}`);
  if (!matches(namePart.pattern, name)) {
    found.push(`name part ${patternMessage(namePart.what, namePart.pattern, namePart.examples)}`);
  }
  return found;
}

/** The name of a port (RFC 6335 section 5.1). */
export function portNameErrors(text: string): string[] {
  const found: string[] = [];
  if (text.length > 15) found.push(tooLongMessage(15));
  if (!/^[-a-z0-9]+$/.test(text))
    found.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
  if (!/[a-z]/.test(text)) found.push("must contain at least one letter (a-z)");
  if (text.includes("--")) found.push("must not contain consecutive hyphens");
  if (text.startsWith("-") || text.endsWith("-")) found.push("must not begin or end with a hyphen");
  return found;
}

export const portRange = "must be between 1 and 65535, inclusive";

export function portNumberErrors(port: number): string[] {
  return Number.isInteger(port) && port >= 1 && port <= 65535 ? [] : [portRange];
}

/** A key of ConfigMap or Secret data, usable as a file name. */
export function configKeyErrors(text: string): string[] {
  const found = check(configKey, text);
  if (text === ".") found.push("must not be '.'");
  else if (text === "..") found.push("must not be '..'");
  else if (text.startsWith("..")) found.push("must not start with '..'");
  return found;
}

/** Any printable ASCII except `=`. */
export function environmentNameErrors(text: string): string[] {
  return /^[ -<>-~]+$/.test(text)
    ? []
    : ["a valid environment variable name must consist only of printable ASCII characters other than '='"];
}
