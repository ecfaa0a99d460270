import { at, scalarText, textAt, type JsonObject } from "../json.ts";
import type { KindInfo } from "../kinds.ts";
import { SelectorError } from "./label.ts";

interface FieldRequirement {
  readonly field: string;
  readonly value: string;
  readonly negated: boolean;
}

/** A field selector of a query: all requirements must hold. */
export type FieldSelector = readonly FieldRequirement[];

/** Fields by which lists and watches of a kind can be narrowed, besides name and namespace; value: how it is read. */
const labelsByKind: Readonly<Record<string, readonly string[]>> = {
  "core.v1.Pod": [
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.podIPs",
    "status.nominatedNodeName",
  ],
  "core.v1.Node": ["spec.unschedulable"],
  "core.v1.Namespace": ["status.phase"],
  "core.v1.Secret": ["type"],
  "core.v1.Service": ["spec.clusterIP", "spec.type"],
  "core.v1.Event": [
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
  ],
  "events.v1.Event": [
    "reason",
    "regarding.kind",
    "regarding.namespace",
    "regarding.name",
    "regarding.uid",
    "regarding.apiVersion",
    "regarding.resourceVersion",
    "regarding.fieldPath",
    "reportingController",
    "type",
  ],
  "apps.v1.ReplicaSet": ["status.replicas"],
};

/** The field labels that a kind supports. */
function supportedFields(kind: KindInfo): readonly string[] {
  const own = labelsByKind[kind.schema] ?? [];
  return kind.namespaced ? ["metadata.name", "metadata.namespace", ...own] : ["metadata.name", ...own];
}

/**
 * Reads a field selector: `metadata.name=x,spec.nodeName!=y`; `\,`, `\=` and `\\` escape in values.
 * @throws SelectorError for text that is no selector and for fields that the kind does not support.
 */
export function parseFieldSelector(kind: KindInfo, text: string): FieldSelector {
  const terms = splitTerms(text).filter((term) => term !== "");
  const requirements = terms.map((term) => parseTerm(term, text));
  const supported = supportedFields(kind);
  for (const { field } of requirements) {
    if (!supported.includes(field)) throw new SelectorError(unsupported(kind, field));
  }
  return requirements;
}

/** Kinds with labels of their own answer in another way than those with the common ones. */
function unsupported(kind: KindInfo, field: string): string {
  return labelsByKind[kind.schema] === undefined
    ? `"${field}" is not a known field selector: only "metadata.name", "metadata.namespace"`
    : `field label not supported: ${field}`;
}

function splitTerms(text: string): string[] {
  const terms = [""];
  for (let index = 0; index < text.length; index += 1) {
    const char = text[index] ?? "";
    if (char === "\\") {
      terms.push(`${terms.pop() ?? ""}${char}${text[index + 1] ?? ""}`);
      index += 1;
    } else if (char === ",") terms.push("");
    else terms.push(`${terms.pop() ?? ""}${char}`);
  }
  return terms;
}

function parseTerm(term: string, whole: string): FieldRequirement {
  const match = /^((?:[^\\=!]|\\.|!(?!=))*?)(!=|==|=)(.*)$/s.exec(term);
  if (!match) throw new SelectorError(`invalid selector: '${whole}'; can't understand '${term}'`);
  const [, field = "", operator, value = ""] = match;
  return { field, value: unescape(value), negated: operator === "!=" };
}

function unescape(value: string): string {
  return value.replaceAll(/\\(.?)|([,=])/gs, (found, escaped: string | undefined) => {
    if (escaped !== undefined && [",", "=", "\\"].includes(escaped)) return escaped;
    throw new SelectorError(
      found.startsWith("\\")
        ? `invalid field selector: invalid escape sequence: ${found}`
        : `invalid field selector: unescaped character in value: ${found}`,
    );
  });
}

/** The value of a field as text, empty when it is not set. */
function fieldValue(object: JsonObject, field: string): string {
  if (field === "source")
    return textAt(object, "source", "component") || textAt(object, "reportingComponent");
  if (field === "status.podIPs") return textAt(object, "status", "podIP");
  const value = at(object, ...field.split("."));
  if (value === undefined || value === null) return booleanFields.has(field) ? "false" : "";
  return scalarText(value);
}

const booleanFields = new Set(["spec.unschedulable", "spec.hostNetwork"]);

/** Whether an object fulfils every requirement of a field selector. */
export function matchesFields(selector: FieldSelector, object: JsonObject): boolean {
  return selector.every(({ field, value, negated }) => (fieldValue(object, field) === value) !== negated);
}
