import type { JsonObject } from "../json.ts";
import type { FieldError } from "./errors.ts";

/** All findings as one text: alone as it is, several in brackets, each only once. */
export function findingsText(errors: readonly FieldError[]): string {
  const texts = [...new Set(errors.map((error) => `${error.field}: ${error.message}`))];
  return texts.length === 1 ? (texts[0] ?? "") : `[${texts.join(", ")}]`;
}

/** The Status body (422) for an object that failed validation: `Service "web" is invalid: spec.ports: Required value`. */
export function invalidStatus(
  kind: { readonly group: string; readonly kind: string },
  name: string,
  errors: readonly FieldError[],
): JsonObject {
  const qualified = kind.group === "" ? kind.kind : `${kind.kind}.${kind.group}`;
  const causes = errors.map(({ reason, message, field }) => ({ reason, message, field }));
  return {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message: `${qualified} "${name}" is invalid: ${findingsText(errors)}`,
    reason: "Invalid",
    details: { name, ...(kind.group === "" ? {} : { group: kind.group }), kind: kind.kind, causes },
    code: 422,
  };
}
