/** Letters and digits that cannot spell words, as Kubernetes uses them in generated names. */
const alphabet = "bcdfghjklmnpqrstvwxz2456789";

/**
 * The value of the label `pod-template-hash`: equal templates have equal hashes. `collisions` (status.collisionCount)
 * gives another hash to a template whose name is taken. FNV-1a, 32 bits, over the JSON text with sorted keys; the
 * value need not be the one that another implementation computes.
 */
export function templateHash(template: unknown, collisions = 0): string {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(`${canonicalJson(template)}${collisions === 0 ? "" : collisions}`)) {
    hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  }
  return String(hash).replaceAll(/\d/g, (digit) => alphabet[digit.charCodeAt(0) % alphabet.length] ?? "");
}

/** JSON text that does not depend on the order of keys. */
function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([key, field]) => `${JSON.stringify(key)}:${canonicalJson(field)}`).join(",")}}`;
}
