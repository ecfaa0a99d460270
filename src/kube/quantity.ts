/**
 * Quantities (`100m`, `1Gi`, `1e3`): a decimal number with a binary suffix (Ki ... Ei), a decimal suffix (n u m k M ... E)
 * or a decimal exponent. Value and canonical form follow the Kubernetes API convention: exact arithmetic, the largest suffix
 * with an integral mantissa, exponents in multiples of three.
 */
interface Quantity {
  /** The value in units of 10^-9. */
  readonly nano: bigint;
  readonly format: "binary" | "decimal" | "exponent";
}

const decimalSuffixes = new Map([
  ["n", -9],
  ["u", -6],
  ["m", -3],
  ["", 0],
  ["k", 3],
  ["M", 6],
  ["G", 9],
  ["T", 12],
  ["P", 15],
  ["E", 18],
]);
const binarySuffixes = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const pattern = /^([+-]?)(\d+\.?\d*|\.\d+)(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?\d+|)$/;
const billion = 1_000_000_000n;
/** Longer numerals and greater exponents are refused: no real quantity needs them. */
const maxDigits = 64;

/** Reads a quantity; undefined when the text is not one. Values finer than 10^-9 are rounded away from zero. */
export function parseQuantity(text: string): Quantity | undefined {
  const match = pattern.exec(text);
  if (!match || text.length > maxDigits) return undefined;
  const [, sign = "", number = "", suffix = ""] = match;
  const [whole = "", fraction = ""] = number.split(".");
  const digits = BigInt(`${whole}${fraction}`);
  const scale = scaleOf(suffix);
  if (Math.abs(scale.power) > maxDigits) return undefined;
  const shift = 9 + scale.power - fraction.length;
  const scaled = digits * scale.factor;
  const nano = shift >= 0 ? scaled * 10n ** BigInt(shift) : divideUp(scaled, 10n ** BigInt(-shift));
  return { nano: sign === "-" ? -nano : nano, format: scale.format };
}

function scaleOf(suffix: string): { factor: bigint; power: number; format: Quantity["format"] } {
  const binary = binarySuffixes.indexOf(suffix);
  if (binary > 0) return { factor: 1024n ** BigInt(binary), power: 0, format: "binary" };
  const decimal = decimalSuffixes.get(suffix);
  if (decimal !== undefined) return { factor: 1n, power: decimal, format: "decimal" };
  return { factor: 1n, power: Number(suffix.slice(1)), format: "exponent" };
}

const divideUp = (value: bigint, by: bigint): bigint => (value + by - 1n) / by;

/** The canonical text: `1048576Ki` -> `1Gi`, `1e-1` -> `100e-3`, `0.5` -> `500m`. */
export function formatQuantity({ nano, format }: Quantity): string {
  if (nano === 0n) return "0";
  const sign = nano < 0n ? "-" : "";
  const size = nano < 0n ? -nano : nano;
  if (format === "binary" && size % billion === 0n && size / billion >= 1024n) {
    return sign + formatBinary(size / billion);
  }
  let value = size;
  let power = -9;
  while (value % 1000n === 0n && power < 18) {
    value /= 1000n;
    power += 3;
  }
  if (format === "exponent") return `${sign}${value}${power === 0 ? "" : `e${power}`}`;
  const suffix = [...decimalSuffixes].find(([, scale]) => scale === power)?.[0] ?? "";
  return `${sign}${value}${suffix}`;
}

function formatBinary(value: bigint): string {
  let rest = value;
  let step = 0;
  while (rest % 1024n === 0n && step < binarySuffixes.length - 1) {
    rest /= 1024n;
    step += 1;
  }
  return `${rest}${binarySuffixes[step] ?? ""}`;
}

/** Canonical form of a quantity as found in JSON (text or number); the text itself when it is not a quantity. */
export function canonicalQuantity(value: string | number): string {
  const quantity = parseQuantity(String(value));
  return quantity ? formatQuantity(quantity) : String(value);
}

/** Negative, zero or positive, as `a` is smaller, equal or greater; text that is no quantity counts as 0. */
export function compareQuantities(a: string, b: string): number {
  const difference = (parseQuantity(a)?.nano ?? 0n) - (parseQuantity(b)?.nano ?? 0n);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}
