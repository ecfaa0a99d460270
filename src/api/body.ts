import type { KindInfo, KubeObject } from "#kube";
import { messageOf } from "#lib/errors";
import { badRequest, unsupportedMediaType } from "./status.ts";
import type { ApiFault } from "./status.ts";
import { duplicateFields, jsonError } from "./strict-json.ts";

export interface Decoded {
  readonly object: KubeObject;
  /** `duplicate field "data.a"` and its like: refused when strict, else warnings. */
  readonly duplicates: readonly string[];
}

/** The media type without parameters, in lower case. */
export function mediaType(header: string | undefined): string {
  return (header ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
}

/**
 * A request body as an object of the expected kind; `apiVersion` and `kind` are filled in when absent.
 * JSON and YAML are read; other types are answered with 415.
 */
export async function decodeObject(
  text: string,
  contentType: string | undefined,
  kind: KindInfo,
): Promise<Decoded> {
  const decoded = await decodeText(text, contentType, kind.kind);
  const groupVersion = apiVersionOf(kind);
  const { apiVersion, kind: given } = decoded.object;
  if (given !== undefined && given !== "" && given !== kind.kind) {
    const version = apiVersion ?? groupVersion;
    throw badRequest(
      `${given} in version "${shortVersion(version)}" cannot be handled as a ${kind.kind}: converting (${version}.${given}) to (${groupVersion}.${kind.kind}): unknown conversion`,
    );
  }
  if (apiVersion !== undefined && apiVersion !== "" && apiVersion !== groupVersion) {
    throw badRequest(
      `the API version in the data (${apiVersion}) does not match the expected API version (${groupVersion})`,
    );
  }
  return { ...decoded, object: { ...decoded.object, apiVersion: groupVersion, kind: kind.kind } };
}

async function decodeText(text: string, contentType: string | undefined, kind: string): Promise<Decoded> {
  const type = mediaType(contentType);
  if (type === "application/vnd.kubernetes.protobuf") {
    throw unsupportedMediaType(
      "this server reads application/json and application/yaml; protobuf request bodies are not supported yet: send the object with kubectl apply or kubectl create -f",
    );
  }
  if (type === "application/yaml") return decodeYaml(text);
  if (type === "" || type === "*/*" || type === "application/json") return decodeJson(text, kind);
  throw unsupportedMediaType(
    "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml",
  );
}

function decodeJson(text: string, kind: string): Decoded {
  const unrecognised = (why: string): ApiFault =>
    badRequest(
      `the object provided is unrecognized (must be of type ${kind}): couldn't get version/kind; json parse error: ${why} (${excerpt(text)})`,
    );
  const value = parseJson(text, (why) => unrecognised(why));
  if (!isRecord(value)) {
    throw unrecognised(
      `json: cannot unmarshal ${typeName(value)} into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }`,
    );
  }
  return { object: value, duplicates: duplicateFields(text) };
}

/** JSON, or the fault that `fault` makes of the reason. */
export function parseJson(text: string, fault: (why: string) => ApiFault): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw fault(jsonError(text, error));
  }
}

/** How many times the aliases of a YAML body may multiply its content. */
const MAX_ALIASES = 100;

async function decodeYaml(text: string): Promise<Decoded> {
  // Loaded when needed: most clients send JSON, and the library is as large as the rest of the server.
  const { LineCounter, parseDocument } = await import("yaml");
  const document = parseDocument(text, { version: "1.1", merge: true, lineCounter: new LineCounter() });
  const repeated = document.errors.filter((error) => error.code === "DUPLICATE_KEY");
  const problem = document.errors.find((error) => error.code !== "DUPLICATE_KEY");
  if (problem !== undefined) {
    throw badRequest(
      `error converting YAML to JSON: yaml: line ${problem.linePos?.[0].line ?? 1}: ${problem.message.split("\n")[0] ?? ""}`,
    );
  }
  const value = ((): unknown => {
    try {
      return document.toJS({ maxAliasCount: MAX_ALIASES });
    } catch (error) {
      // Aliases without an anchor, or too many of them, show only now.
      throw badRequest(`error converting YAML to JSON: yaml: ${messageOf(error)}`);
    }
  })();
  if (!isRecord(value)) throw badRequest("error converting YAML to JSON: the document is not an object");
  const rows = text.split("\n");
  const duplicates = repeated.map((error) => {
    const line = error.linePos?.[0].line ?? 1;
    const key = /^\s*(?:- )?["']?([^"':]+)/.exec(rows[line - 1] ?? "")?.[1] ?? "";
    return `line ${line}: key "${key}" already set in map`;
  });
  return { object: value, duplicates };
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** `v1` or `apps/v1`. */
export function apiVersionOf(kind: { readonly group: string; readonly version: string }): string {
  return kind.group === "" ? kind.version : `${kind.group}/${kind.version}`;
}

const shortVersion = (apiVersion: string): string => apiVersion.slice(apiVersion.indexOf("/") + 1);

/** The word that Go's JSON decoder has for a value. */
export function typeName(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return typeof value === "boolean" ? "bool" : typeof value;
}

/** The beginning of a body for messages: text as it is, anything short in hexadecimal. */
function excerpt(text: string): string {
  if (text === "") return "<empty>";
  if (text.length < 4) return Buffer.from(text).toString("hex");
  return text.length > 30 ? `${text.slice(0, 30)} ...` : text;
}
