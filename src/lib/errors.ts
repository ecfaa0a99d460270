/**
 * Errors as values that a person can act on: what went wrong, where, and what to do.
 * `code` is stable and meant for programs; callers match on it, never on the text.
 */
export class InroadError extends Error {
  readonly code: string;
  readonly where: string | undefined;
  readonly mend: string | undefined;
  /** Process exit status when this error ends the program: 1 findings, 2 usage or input, 3 undecidable. */
  readonly exitStatus: 1 | 2 | 3;

  constructor(
    code: string,
    message: string,
    details: { where?: string; mend?: string; exitStatus?: 1 | 2 | 3; cause?: unknown } = {},
  ) {
    super(message, { cause: details.cause });
    this.name = "InroadError";
    this.code = code;
    this.where = details.where;
    this.mend = details.mend;
    this.exitStatus = details.exitStatus ?? 2;
  }
}

/** The message of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The system error code (`ECONNREFUSED` ...) or our own stable code, if there is one. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}
