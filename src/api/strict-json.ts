/**
 * JSON.parse keeps the last of two equal keys and says nothing; Kubernetes reports such fields
 * (`duplicate field "data.a"`). This finds them in a text that JSON.parse has accepted.
 */
export function duplicateFields(text: string): string[] {
  const found: string[] = [];
  const stack: { keys: Set<string> | undefined; path: string; index: number }[] = [];
  let key: string | undefined;
  let at = 0;

  const here = (): string => {
    const top = stack.at(-1);
    if (top === undefined) return "";
    if (top.keys === undefined) return `${top.path}[${top.index}]`;
    return top.path === "" ? (key ?? "") : `${top.path}.${key ?? ""}`;
  };

  while (at < text.length) {
    const char = text[at];
    if (char === "{" || char === "[") {
      stack.push({ keys: char === "{" ? new Set() : undefined, path: here(), index: 0 });
      key = undefined;
    } else if (char === "}" || char === "]") {
      stack.pop();
    } else if (char === ",") {
      const top = stack.at(-1);
      if (top !== undefined) top.index++;
    } else if (char === '"') {
      const end = endOfString(text, at);
      const keys = stack.at(-1)?.keys;
      if (keys !== undefined && nextSign(text, end) === ":") {
        key = String(JSON.parse(text.slice(at, end)));
        if (keys.has(key)) found.push(`duplicate field "${here()}"`);
        keys.add(key);
      }
      at = end;
      continue;
    }
    at++;
  }
  return [...new Set(found)];
}

/** The index after the closing quote of the string that begins at `start`. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
  return at + 1;
}

function nextSign(text: string, from: number): string | undefined {
  let at = from;
  while (at < text.length && /\s/.test(text[at] ?? "")) at++;
  return text[at];
}

/**
 * Why a text is not JSON, in the words that Go's decoder (and hence Kubernetes) uses. `error` is what
 * JSON.parse threw; its message tells the place.
 */
export function jsonError(text: string, error: unknown): string {
  const message = error instanceof Error ? error.message : "";
  const position = /at position (\d+)/.exec(message)?.[1];
  // For short texts V8 names the character instead of its place.
  const char =
    position === undefined ? /^Unexpected token '(.)'/su.exec(message)?.[1] : text[Number(position)];
  if (char === undefined || message.includes("Unterminated")) return "unexpected end of JSON input";
  const where = message.includes("after JSON") ? "after top-level value" : "looking for beginning of value";
  return `invalid character ${goQuote(char)} ${where}`;
}

/** A character as Go's `%q` for runes shows it. */
export function goQuote(char: string): string {
  const code = char.codePointAt(0) ?? 0;
  if (char === "'") return `'\\''`;
  if (code < 0x20 || code === 0x7f) return `'\\x${code.toString(16).padStart(2, "0")}'`;
  return code >= 0x80 && code < 0xa0 ? `'\\u${code.toString(16).padStart(4, "0")}'` : `'${char}'`;
}
