/** Errors of the CNI specification 1.1.0, section 5 ("Error"): numbers below 100 are its own, the others are ours. */
import { InroadError, codeOf, messageOf } from "#lib/errors";

export const errorCodes = {
  incompatibleVersion: 1,
  unsupportedField: 2,
  unknownContainer: 3,
  badEnvironment: 4,
  inputOutput: 5,
  undecodable: 6,
  badConfig: 7,
  tryAgain: 11,
  unavailable: 50,
  limitedConnectivity: 51,
  /** ADD of what is attached already. */
  attachedAlready: 100,
  /** CHECK: the addresses are not reserved for this attachment. */
  notReserved: 101,
  badInterface: 102,
  badAddress: 103,
  badRoute: 104,
  /** The kernel refused, or a program is missing. */
  failed: 105,
} as const;

export class CniError extends Error {
  readonly kind: keyof typeof errorCodes;
  /** What to do, or more of what went wrong. */
  readonly details: string | undefined;

  constructor(kind: keyof typeof errorCodes, message: string, details?: string) {
    super(message);
    this.name = "CniError";
    this.kind = kind;
    this.details = details;
  }
}

/** Whatever was thrown, as one of the errors above. */
export function cniErrorOf(error: unknown): CniError {
  if (error instanceof CniError) return error;
  if (error instanceof InroadError) return new CniError("failed", error.message, error.mend);
  // An errno of the file system.
  return new CniError(codeOf(error) === undefined ? "failed" : "inputOutput", messageOf(error));
}

/** The document that goes to stdout. */
export function errorText({ kind, message, details }: CniError, cniVersion: string): string {
  return JSON.stringify({
    cniVersion,
    code: errorCodes[kind],
    msg: message,
    ...(details === undefined ? {} : { details }),
  });
}
