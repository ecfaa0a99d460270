import type { FieldError } from "#kube";
import { isRecord, mediaType, parseJson, typeName } from "./body.ts";
import { ApiFault, badRequest, invalid } from "./status.ts";

/**
 * Query parameters (and the body of a DELETE) as checked values; the rules and the wording are those of
 * apimachinery's CreateOptions, UpdateOptions, PatchOptions, DeleteOptions and ListOptions.
 */

export interface WriteOptions {
  readonly dryRun: boolean;
  readonly fieldValidation: "Strict" | "Warn" | "Ignore";
}

export interface DeleteOptions {
  readonly dryRun: boolean;
  /** Seconds; negative values count as 1. */
  readonly gracePeriodSeconds: number | undefined;
  readonly propagationPolicy: "Orphan" | "Background" | "Foreground" | undefined;
  readonly uid: string | undefined;
  readonly resourceVersion: string | undefined;
}

export interface ListOptions {
  readonly labelSelector: string;
  readonly fieldSelector: string;
  readonly watch: boolean;
  readonly limit: number;
  readonly continue: string;
  readonly resourceVersion: string;
  readonly match: "" | "Exact" | "NotOlderThan";
  readonly bookmarks: boolean;
  readonly initialEvents: boolean | undefined;
  /** Seconds after which a watch ends. */
  readonly timeout: number | undefined;
}

type Verb = "Create" | "Update" | "Patch" | "Delete" | "List";

const refuse = (verb: Verb, errors: readonly FieldError[]): ApiFault =>
  invalid({ group: "meta.k8s.io", kind: `${verb}Options` }, "", errors);

const unsupported = (field: string, value: string, supported: readonly string[]): FieldError => ({
  reason: "FieldValueNotSupported",
  field,
  message: `Unsupported value: ${value}: supported values: ${supported.map((item) => JSON.stringify(item)).join(", ")}`,
});

const forbidden = (field: string, why: string): FieldError => ({
  reason: "FieldValueForbidden",
  field,
  message: `Forbidden: ${why}`,
});

export function parseWriteOptions(verb: "Create" | "Update" | "Patch", query: URLSearchParams): WriteOptions {
  const errors: FieldError[] = [];
  const manager = query.get("fieldManager") ?? "";
  if (Buffer.byteLength(manager) > 128) {
    errors.push({
      reason: "FieldValueTooLong",
      field: "fieldManager",
      message: "Too long: may not be more than 128 bytes",
    });
  }
  const at = manager.search(/\p{C}/u);
  if (at >= 0) {
    const code = manager.codePointAt(at) ?? 0;
    const shown = JSON.stringify(manager).replaceAll(/\\u00(..)/g, "\\x$1");
    errors.push({
      reason: "FieldValueInvalid",
      field: "fieldManager",
      message: `Invalid value: ${shown}: invalid character U+${code.toString(16).toUpperCase().padStart(4, "0")} (at position ${at})`,
    });
  }
  const dryRun = parseDryRun(query.getAll("dryRun"), errors);
  const given = query.get("fieldValidation") ?? "";
  const fieldValidation = given === "" ? "Warn" : given;
  if (fieldValidation !== "Strict" && fieldValidation !== "Warn" && fieldValidation !== "Ignore") {
    throw refuse(verb, [
      ...errors,
      unsupported("fieldValidation", JSON.stringify(given), ["", "Ignore", "Strict", "Warn"]),
    ]);
  }
  if (errors.length > 0) throw refuse(verb, errors);
  return { dryRun, fieldValidation };
}

function parseDryRun(values: readonly string[], errors: FieldError[]): boolean {
  if (values.some((value) => value !== "All"))
    errors.push(unsupported("dryRun", JSON.stringify(values), ["All"]));
  return values.length > 0;
}

/** Options of a deletion from the query and, where present, the body (which wins). */
export function parseDeleteOptions(
  query: URLSearchParams,
  body: string,
  contentType: string | undefined,
): DeleteOptions {
  const given = deleteBody(body, contentType);
  const errors: FieldError[] = [];
  const dryRun = parseDryRun(strings(given["dryRun"]) ?? query.getAll("dryRun"), errors);
  const policy = given["propagationPolicy"] ?? query.get("propagationPolicy") ?? undefined;
  const orphan = given["orphanDependents"] ?? booleanOf(query.get("orphanDependents"));
  if (orphan !== undefined && policy !== undefined) {
    errors.push({
      reason: "FieldValueInvalid",
      field: "propagationPolicy",
      message: `Invalid value: ${JSON.stringify(policy)}: orphanDependents and deletionPropagation cannot be both set`,
    });
  } else if (
    policy !== undefined &&
    policy !== "Orphan" &&
    policy !== "Background" &&
    policy !== "Foreground"
  ) {
    errors.push(
      unsupported("propagationPolicy", JSON.stringify(policy), ["Foreground", "Background", "Orphan", "nil"]),
    );
  }
  if (errors.length > 0) throw refuse("Delete", errors);
  const preconditions = isRecord(given["preconditions"]) ? given["preconditions"] : {};
  const grace = given["gracePeriodSeconds"] ?? integer(query, "gracePeriodSeconds");
  return {
    dryRun,
    gracePeriodSeconds: typeof grace === "number" ? (grace < 0 ? 1 : Math.trunc(grace)) : undefined,
    propagationPolicy: orphan === true ? "Orphan" : orphan === false ? "Background" : propagation(policy),
    uid: textOf(preconditions["uid"]),
    resourceVersion: textOf(preconditions["resourceVersion"]),
  };
}

const unreadable = (why: string): ApiFault =>
  new ApiFault(500, undefined, `couldn't get version/kind; json parse error: ${why}`);

function deleteBody(body: string, contentType: string | undefined): Record<string, unknown> {
  if (body.trim() === "") return {};
  if (mediaType(contentType) === "application/vnd.kubernetes.protobuf") {
    throw new ApiFault(
      415,
      "UnsupportedMediaType",
      "this server reads DeleteOptions as application/json; protobuf request bodies are not supported yet",
    );
  }
  const value = parseJson(body, unreadable);
  if (!isRecord(value)) throw unreadable(`json: cannot unmarshal ${typeName(value)} into DeleteOptions`);
  return value;
}

const textOf = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? value : undefined;

const propagation = (value: unknown): DeleteOptions["propagationPolicy"] =>
  value === "Orphan" || value === "Background" || value === "Foreground" ? value : undefined;

function strings(value: unknown): string[] | undefined {
  return Array.isArray(value) ? value.map(String) : undefined;
}

/** Kubernetes' reading of boolean parameters: present without value is true, `0` and `false` are false. */
function booleanOf(value: string | null): boolean | undefined {
  return value === null ? undefined : value !== "0" && value.toLowerCase() !== "false";
}

function integer(query: URLSearchParams, name: string): number | undefined {
  const value = query.get(name);
  if (value === null || value === "") return undefined;
  if (!/^[+-]?\d+$/.test(value)) {
    throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(value)}: invalid syntax`);
  }
  return Number(value);
}

export function parseListOptions(query: URLSearchParams): ListOptions {
  const match = query.get("resourceVersionMatch") ?? "";
  const options: ListOptions = {
    labelSelector: query.get("labelSelector") ?? "",
    fieldSelector: query.get("fieldSelector") ?? "",
    watch: booleanOf(query.get("watch")) ?? false,
    limit: Math.max(0, integer(query, "limit") ?? 0),
    continue: query.get("continue") ?? "",
    resourceVersion: query.get("resourceVersion") ?? "",
    match: match === "Exact" || match === "NotOlderThan" ? match : "",
    bookmarks: booleanOf(query.get("allowWatchBookmarks")) ?? false,
    initialEvents: booleanOf(query.get("sendInitialEvents")),
    timeout: integer(query, "timeoutSeconds"),
  };
  const errors = options.watch ? watchErrors(options, match) : listErrors(options, match);
  if (errors.length > 0) throw refuse("List", errors);
  return options;
}

function watchErrors(options: ListOptions, match: string): FieldError[] {
  const errors: FieldError[] = [];
  if (match !== "" && options.initialEvents === undefined) {
    errors.push(
      forbidden(
        "resourceVersionMatch",
        "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
      ),
    );
  }
  if (options.initialEvents !== undefined && match !== "NotOlderThan") {
    errors.push(
      forbidden(
        "resourceVersionMatch",
        "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
      ),
    );
  }
  return errors;
}

function listErrors(options: ListOptions, match: string): FieldError[] {
  const errors: FieldError[] = [];
  if (match !== "") {
    if (options.resourceVersion === "") {
      errors.push(
        forbidden(
          "resourceVersionMatch",
          "resourceVersionMatch is forbidden unless resourceVersion is provided",
        ),
      );
    }
    if (options.continue !== "") {
      errors.push(
        forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided"),
      );
    }
    if (match !== options.match) {
      errors.push(unsupported("resourceVersionMatch", JSON.stringify(match), ["Exact", "NotOlderThan", ""]));
    }
    if (match === "Exact" && options.resourceVersion === "0") {
      errors.push(
        forbidden(
          "resourceVersionMatch",
          'resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
        ),
      );
    }
  }
  if (options.initialEvents !== undefined) {
    errors.push(forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
  }
  return errors;
}
