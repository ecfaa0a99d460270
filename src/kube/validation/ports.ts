import { invalid, invalidAll, type FieldError } from "./errors.ts";
import { portNameErrors, portNumberErrors } from "./names.ts";

export const protocols: readonly string[] = ["SCTP", "TCP", "UDP"];

export function portErrors(port: unknown, path: string): FieldError[] {
  return typeof port === "number" ? invalidAll(path, port, portNumberErrors(port)) : [];
}

/** A port given by number or by name. */
export function portOrNameErrors(port: unknown, path: string): FieldError[] {
  if (typeof port === "string") return invalidAll(path, port, portNameErrors(port));
  return portErrors(port, path);
}

/** A count or a percentage, as in `maxSurge`. */
export function countOrPercentErrors(
  value: unknown,
  path: string,
  percent: (text: string) => string[],
): FieldError[] {
  if (typeof value === "string") return invalidAll(path, value, percent(value));
  if (typeof value === "number" && value < 0)
    return [invalid(path, value, "must be greater than or equal to 0")];
  return [];
}
