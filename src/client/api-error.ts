import { InroadError } from "#lib/errors";

/** One cause of a failed request: which field, and what is wrong with it. */
export interface ApiErrorCause {
  readonly reason: string;
  readonly message: string;
  readonly field: string;
}

/**
 * An answer of the API server that is not 2xx. `code` and `reason` are the Status reason: `NotFound`, `Conflict`,
 * `AlreadyExists`, `Invalid`, `Expired` ... (Kubernetes API conventions, "Response Status Kind").
 */
export class ApiError extends InroadError {
  readonly status: number;
  readonly reason: string;
  readonly causes: readonly ApiErrorCause[];
  /** Seconds after which the server asks to be called again. */
  readonly retryAfterSeconds: number | undefined;

  constructor(status: number, body: unknown, where?: string) {
    const details = record(record(body)["details"]);
    const reason = text(record(body)["reason"]) ?? defaultReasons[status] ?? "Unknown";
    super(
      reason,
      text(record(body)["message"]) ?? `the API server answered ${status}`,
      where ? { where } : {},
    );
    this.name = "ApiError";
    this.status = status;
    this.reason = reason;
    this.causes = Array.isArray(details["causes"]) ? details["causes"].map(causeOf) : [];
    const seconds = details["retryAfterSeconds"];
    this.retryAfterSeconds = typeof seconds === "number" && seconds > 0 ? seconds : undefined;
  }
}

/** Reasons for answers whose body is no Status (a proxy in between, for example). */
const defaultReasons: Readonly<Record<number, string>> = {
  400: "BadRequest",
  401: "Unauthorized",
  403: "Forbidden",
  404: "NotFound",
  405: "MethodNotAllowed",
  409: "Conflict",
  410: "Expired",
  422: "Invalid",
  429: "TooManyRequests",
  500: "InternalError",
  503: "ServiceUnavailable",
  504: "Timeout",
};

function causeOf(value: unknown): ApiErrorCause {
  const { reason, message, field } = record(value);
  return { reason: text(reason) ?? "", message: text(message) ?? "", field: text(field) ?? "" };
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
