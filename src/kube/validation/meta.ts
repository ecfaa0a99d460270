import { at, isJsonObject, listAt, objectAt, sameJson, textAt, textOf, type JsonObject } from "../json.ts";
import { forbidden, invalid, invalidAll, required, tooLong, type FieldError } from "./errors.ts";
import { dnsLabelErrors, labelValueErrors, qualifiedNameErrors } from "./names.ts";

type NameRule = (name: string) => readonly string[];

const maxAnnotationBytes = 256 * 1024;
const standardFinalizers = new Set(["kubernetes", "orphan", "foregroundDeletion"]);
export const immutable = "field is immutable";
export const notNegative = "must be greater than or equal to 0";

/** Labels and label maps such as a Service's selector; findings stand at the map itself. */
export function labelErrors(labels: unknown, path: string): FieldError[] {
  return Object.entries(isJsonObject(labels) ? labels : {}).flatMap(([key, value]) => [
    ...invalidAll(path, key, qualifiedNameErrors(key)),
    ...invalidAll(path, value, labelValueErrors(textOf(value))),
  ]);
}

export function annotationErrors(annotations: unknown, path: string): FieldError[] {
  const entries = Object.entries(isJsonObject(annotations) ? annotations : {});
  const found = entries.flatMap(([key]) => invalidAll(path, key, qualifiedNameErrors(key.toLowerCase())));
  const bytes = entries.reduce(
    (sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(textOf(value)),
    0,
  );
  return bytes > maxAnnotationBytes ? [...found, tooLong(path, maxAnnotationBytes)] : found;
}

function ownerErrors(metadata: JsonObject, path: string): FieldError[] {
  const owners = listAt(metadata, "ownerReferences");
  const found = owners.flatMap((owner, index) => {
    const here = `${path}[${index}]`;
    const version = textAt(owner, "apiVersion").split("/").at(-1);
    const errors =
      version === ""
        ? [invalid(`${here}.apiVersion`, at(owner, "apiVersion") ?? "", "version must not be empty")]
        : [];
    for (const field of ["kind", "name", "uid"]) {
      if (textAt(owner, field) === "") errors.push(invalid(`${here}.${field}`, "", "must not be empty"));
    }
    return errors;
  });
  const controllers = owners.filter((owner) => at(owner, "controller") === true);
  const [first, second] = controllers.map((owner) => `${textAt(owner, "kind")}/${textAt(owner, "name")}`);
  if (first === undefined || second === undefined) return found;
  const detail = `Only one reference can have Controller set to true. Found "true" in references for ${first} and ${second}`;
  return [...found, invalid(path, owners, detail)];
}

function finalizerErrors(metadata: JsonObject, path: string): FieldError[] {
  const names = listAt(metadata, "finalizers").map(textOf);
  const found = names.flatMap((name) => invalidAll(path, name, qualifiedNameErrors(name)));
  if (names.includes("orphan") && names.includes("foregroundDeletion")) {
    found.push(invalid(path, names, `finalizers "orphan" and "foregroundDeletion" cannot be both set`));
  }
  return found;
}

/** A finalizer is one of the server's own or carries a domain. */
function finalizerNameErrors(metadata: JsonObject, path: string): FieldError[] {
  return listAt(metadata, "finalizers").flatMap((item, index) => {
    const name = textOf(item);
    if (name.includes("/") || standardFinalizers.has(name)) return [];
    return [
      invalid(
        `${path}[${index}]`,
        name,
        "name is neither a standard finalizer name nor is it fully qualified",
      ),
    ];
  });
}

/** Metadata of a new object. A missing name is a finding unless it will be generated. */
export function metaErrors(object: JsonObject, nameRule: NameRule, namespaced: boolean): FieldError[] {
  const metadata = objectAt(object, "metadata");
  const found: FieldError[] = [];
  const generateName = textAt(metadata, "generateName");
  // A generated name is the prefix and more, so the prefix may end in a dash.
  if (generateName !== "")
    found.push(...invalidAll("metadata.generateName", generateName, nameRule(maskDashes(generateName))));
  const name = textAt(metadata, "name");
  if (name === "" && generateName === "")
    found.push(required("metadata.name", "name or generateName is required"));
  else if (name !== "") found.push(...invalidAll("metadata.name", name, nameRule(name)));
  found.push(...namespaceErrors(textAt(metadata, "namespace"), namespaced));
  const generation = metadata["generation"];
  if (typeof generation === "number" && generation < 0) {
    found.push(invalid("metadata.generation", generation, notNegative));
  }
  return [
    ...found,
    ...labelErrors(metadata["labels"], "metadata.labels"),
    ...annotationErrors(metadata["annotations"], "metadata.annotations"),
    ...ownerErrors(metadata, "metadata.ownerReferences"),
    ...finalizerErrors(metadata, "metadata.finalizers"),
    ...finalizerNameErrors(metadata, "metadata.finalizers"),
  ];
}

const maskDashes = (prefix: string): string => (prefix.endsWith("-") ? `${prefix.slice(0, -1)}a` : prefix);

/** The namespace of a namespaced object is filled in by the server, hence a missing one is no finding here. */
function namespaceErrors(namespace: string, namespaced: boolean): FieldError[] {
  if (namespace === "") return [];
  return namespaced
    ? invalidAll("metadata.namespace", namespace, dnsLabelErrors(namespace))
    : [forbidden("metadata.namespace", "not allowed on this type")];
}

/** Metadata of a changed object against the old one. */
export function metaUpdateErrors(object: JsonObject, old: JsonObject): FieldError[] {
  const metadata = objectAt(object, "metadata");
  const former = objectAt(old, "metadata");
  const found = newFinalizerErrors(metadata, former);
  const immutableFields = [
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
  ];
  for (const field of immutableFields) {
    if (!sameJson(metadata[field], former[field]))
      found.push(invalid(`metadata.${field}`, metadata[field], immutable));
  }
  return [
    ...found,
    ...labelErrors(metadata["labels"], "metadata.labels"),
    ...annotationErrors(metadata["annotations"], "metadata.annotations"),
    ...ownerErrors(metadata, "metadata.ownerReferences"),
  ];
}

function newFinalizerErrors(metadata: JsonObject, former: JsonObject): FieldError[] {
  if (former["deletionTimestamp"] === undefined) return [];
  const added = listAt(metadata, "finalizers").filter((name) => !listAt(former, "finalizers").includes(name));
  if (added.length === 0) return [];
  const names = added
    .map((name) => `"${textOf(name)}"`)
    .toSorted()
    .join(", ");
  const detail = `no new finalizers can be added if the object is being deleted, found new finalizers []string{${names}}`;
  return [forbidden("metadata.finalizers", detail)];
}

/** A name that will be part of a URL path. */
export function pathSegmentErrors(name: string): string[] {
  if (name === "." || name === "..") return [`may not be '${name}'`];
  return ["/", "%"].filter((char) => name.includes(char)).map((char) => `may not contain '${char}'`);
}

/** A finding for every number below zero. */
export function negativeErrors(object: unknown, path: string, ...fields: readonly string[]): FieldError[] {
  return fields.flatMap((field) => {
    const value = at(object, field);
    return typeof value === "number" && value < 0 ? [invalid(`${path}.${field}`, value, notNegative)] : [];
  });
}
