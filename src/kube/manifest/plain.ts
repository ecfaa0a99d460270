import { isJsonObject } from "../json.ts";

const maxDepth = 100;
const maxValues = 500_000;

/** A document that is nested too deeply, refers to itself, or is too large once its aliases are written out. */
class TooComplexError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "TooComplexError";
  }
}

/**
 * A copy of a parsed document as plain JSON without shared parts.
 * @throws TooComplexError beyond 100 levels or 500,000 values, and for numbers that JSON does not have.
 */
export function plainValue(value: unknown): unknown {
  let left = maxValues;
  return copy(value, maxDepth);

  function copy(item: unknown, levels: number): unknown {
    left -= 1;
    if (left < 0) throw new TooComplexError("the document has more than 500,000 values");
    if (levels < 0) throw new TooComplexError("the document is nested deeper than 100 levels");
    if (Array.isArray(item)) return item.map((entry) => copy(entry, levels - 1));
    if (isJsonObject(item)) {
      return Object.fromEntries(Object.entries(item).map(([key, entry]) => [key, copy(entry, levels - 1)]));
    }
    if (typeof item === "number" && !Number.isFinite(item)) {
      throw new TooComplexError(`${item} is not a number that JSON has`);
    }
    return item;
  }
}
