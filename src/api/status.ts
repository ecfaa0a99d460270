import { findingsText } from "#kube/server";
import type { FieldError } from "#kube";

/**
 * Failures as the `Status` objects that Kubernetes clients understand
 * (apimachinery `meta/v1.Status`; the wording is part of the contract, kubectl prints it).
 */

export interface StatusCause {
  readonly reason?: string;
  readonly message: string;
  readonly field?: string;
}

interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly StatusCause[];
  readonly retryAfterSeconds?: number;
}

export interface Status {
  readonly kind: "Status";
  readonly apiVersion: "v1";
  readonly metadata: { readonly continue?: string };
  readonly status: "Success" | "Failure";
  readonly message?: string;
  readonly reason?: string;
  readonly details?: StatusDetails;
  readonly code?: number;
}

/** What failures need to know of a kind. */
interface Named {
  readonly group: string;
  readonly kind: string;
  readonly plural: string;
}

/** A request that is answered with a failure `Status`. */
export class ApiFault extends Error {
  readonly status: Status;
  readonly code: number;
  /** Warnings collected before the request failed; they are sent as headers. */
  warnings: readonly string[] = [];

  constructor(code: number, reason: string | undefined, message: string, details?: StatusDetails) {
    super(message);
    this.name = "ApiFault";
    this.code = code;
    this.status = {
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      message,
      ...(reason === undefined ? {} : { reason }),
      ...(details === undefined ? {} : { details }),
      code,
    };
  }
}

const detailsOf = (kind: Named, name: string): StatusDetails => ({
  ...(name === "" ? {} : { name }),
  ...(kind.group === "" ? {} : { group: kind.group }),
  kind: kind.plural,
});

const qualified = (name: string, group: string): string => (group === "" ? name : `${name}.${group}`);

export const badRequest = (message: string): ApiFault => new ApiFault(400, "BadRequest", message);

export const notFound = (kind: Named, name: string): ApiFault =>
  new ApiFault(
    404,
    "NotFound",
    `${qualified(kind.plural, kind.group)} "${name}" not found`,
    detailsOf(kind, name),
  );

/** The path is well-formed but nothing is served there. */
export const unknownResource = (): ApiFault =>
  new ApiFault(404, "NotFound", "the server could not find the requested resource", {});

export const methodNotAllowed = (): ApiFault =>
  new ApiFault(
    405,
    "MethodNotAllowed",
    "the server does not allow this method on the requested resource",
    {},
  );

export const alreadyExists = (kind: Named, name: string): ApiFault =>
  new ApiFault(
    409,
    "AlreadyExists",
    `${qualified(kind.plural, kind.group)} "${name}" already exists`,
    detailsOf(kind, name),
  );

const MODIFIED =
  "the object has been modified; please apply your changes to the latest version and try again";

/** The version that the client has seen is not the stored one. */
export const conflict = (kind: Named, name: string, why: string = MODIFIED): ApiFault =>
  new ApiFault(
    409,
    "Conflict",
    `Operation cannot be fulfilled on ${qualified(kind.plural, kind.group)} "${name}": ${why}`,
    detailsOf(kind, name),
  );

export const forbidden = (
  kind: Named,
  name: string,
  why: string,
  causes?: readonly StatusCause[],
): ApiFault =>
  new ApiFault(403, "Forbidden", `${qualified(kind.plural, kind.group)} "${name}" is forbidden: ${why}`, {
    ...detailsOf(kind, name),
    ...(causes === undefined ? {} : { causes }),
  });

/** 422 with one cause per error; the message says each text once, several of them in brackets. */
export function invalid(
  kind: Pick<Named, "group" | "kind">,
  name: string,
  errors: readonly FieldError[],
): ApiFault {
  const message = `${qualified(kind.kind, kind.group)} "${name}" is invalid: ${findingsText(errors)}`;
  return new ApiFault(422, "Invalid", message, {
    ...(name === "" ? {} : { name }),
    ...(kind.group === "" ? {} : { group: kind.group }),
    ...(kind.kind === "" ? {} : { kind: kind.kind }),
    causes: errors.map(({ reason, message, field }) => ({ reason, message, field })),
  });
}

/** The version asked for is no longer in the history. */
export const expired = (message: string): ApiFault => new ApiFault(410, "Expired", message);

export const unsupportedMediaType = (message: string): ApiFault =>
  new ApiFault(415, "UnsupportedMediaType", message);

export const unauthorized = (): ApiFault => new ApiFault(401, "Unauthorized", "Unauthorized");

export const internalError = (message: string): ApiFault =>
  new ApiFault(500, "InternalError", `Internal error occurred: ${message}`, { causes: [{ message }] });

/** The answer to a deletion that left nothing behind. */
export const deleted = (kind: Named, name: string, uid: string | undefined): Status => ({
  kind: "Status",
  apiVersion: "v1",
  metadata: {},
  status: "Success",
  details: { ...detailsOf(kind, name), ...(uid === undefined ? {} : { uid }) },
});
