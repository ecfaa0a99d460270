/**
 * What tests that draw at random begin with: the same each time, so that a change is to blame for what fails. `INROAD_SEED` is another
 * number, or `random`.
 */
export const seed = seedOf(process.env["INROAD_SEED"] ?? "20261125");

function seedOf(text: string): number {
  const number = text === "random" ? Date.now() % 1_000_000_000 : Number(text);
  if (Number.isInteger(number)) return number;
  throw new Error(`INROAD_SEED is an integer or "random", and not ${text}`);
}
