/** Parts of a time as RFC 3339 writes it; the reference time of the layout names each part in messages. */
const parts: readonly (readonly [string, RegExp])[] = [
  ["2006", /^\d{4}/],
  ["-", /^-/],
  ["01", /^\d{2}/],
  ["-", /^-/],
  ["02", /^\d{2}/],
  ["T", /^T/],
  ["15", /^\d{2}/],
  [":", /^:/],
  ["04", /^\d{2}/],
  [":", /^:/],
  ["05", /^\d{2}(?:[.,]\d+)?/],
];
const microParts: typeof parts = [...parts.slice(0, -1), ["05", /^\d{2}/], [".000000", /^\.\d{6}/]];
const zone = ["Z07:00", /^(?:Z|[+-]\d{2}:\d{2})/] as const;

/**
 * What is wrong with the text of a time (RFC 3339; six decimals for a micro-time), undefined when it is right:
 * `parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006"`.
 */
export function timeError(text: string, micro: boolean): string | undefined {
  const layout = micro ? "2006-01-02T15:04:05.000000Z07:00" : "2006-01-02T15:04:05Z07:00";
  const failure = (detail: string): string => `parsing time "${text}" as "${layout}": ${detail}`;
  let rest = text;
  for (const [name, pattern] of [...(micro ? microParts : parts), zone]) {
    const match = pattern.exec(rest);
    if (!match) return failure(`cannot parse "${rest}" as "${name}"`);
    rest = rest.slice(match[0].length);
  }
  if (rest !== "") return `parsing time "${text}": extra text: "${rest}"`;
  return rangeError(text);
}

const ranges = [
  ["month", 5, 1, 12],
  ["day", 8, 1, 31],
  ["hour", 11, 0, 23],
  ["minute", 14, 0, 59],
  ["second", 17, 0, 59],
] as const;

function rangeError(text: string): string | undefined {
  for (const [name, at, low, high] of ranges) {
    const value = Number(text.slice(at, at + 2));
    if (value < low || value > high) return `parsing time "${text}": ${name} out of range`;
  }
  return undefined;
}
