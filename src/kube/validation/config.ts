import { at, isJsonObject, objectAt, sameJson, textAt, textOf, type JsonObject } from "../json.ts";
import { forbidden, invalid, invalidAll, required, tooLong, type FieldError } from "./errors.ts";
import { immutable, metaErrors, metaUpdateErrors } from "./meta.ts";
import { configKeyErrors, dnsSubdomainErrors } from "./names.ts";

const maxBytes = 1024 * 1024;
const frozen = "field is immutable when `immutable` is set";

/** Length of base64 text once decoded. */
const decodedLength = (text: string): number => Buffer.byteLength(text, "base64");

export function configMapErrors(map: JsonObject): FieldError[] {
  const [data, binary] = [objectAt(map, "data"), objectAt(map, "binaryData")];
  const found = metaErrors(map, dnsSubdomainErrors, true);
  for (const key of Object.keys(data)) {
    found.push(...invalidAll(`data[${key}]`, key, configKeyErrors(key)));
    if (Object.hasOwn(binary, key))
      found.push(invalid(`data[${key}]`, key, "duplicate of key present in binaryData"));
  }
  for (const key of Object.keys(binary))
    found.push(...invalidAll(`binaryData[${key}]`, key, configKeyErrors(key)));
  const plain = Object.values(data).reduce((sum: number, value) => sum + Buffer.byteLength(textOf(value)), 0);
  const bytes = Object.values(binary).reduce(
    (sum: number, value) => sum + decodedLength(textOf(value)),
    plain,
  );
  // The finding concerns no field in particular.
  return bytes > maxBytes ? [...found, tooLong("", maxBytes)] : found;
}

export function configMapUpdateErrors(map: JsonObject, old: JsonObject): FieldError[] {
  return [
    ...metaUpdateErrors(map, old),
    ...frozenErrors(map, old, ["data", "binaryData"]),
    ...configMapErrors(map),
  ];
}

function frozenErrors(object: JsonObject, old: JsonObject, fields: readonly string[]): FieldError[] {
  if (old["immutable"] !== true) return [];
  return [
    ...(object["immutable"] === true ? [] : [forbidden("immutable", frozen)]),
    ...fields
      .filter((field) => !sameJson(object[field], old[field]))
      .map((field) => forbidden(field, frozen)),
  ];
}

export function secretErrors(secret: JsonObject): FieldError[] {
  const data = objectAt(secret, "data");
  const found = metaErrors(secret, dnsSubdomainErrors, true);
  for (const key of Object.keys(data)) found.push(...invalidAll(`data[${key}]`, key, configKeyErrors(key)));
  const bytes = Object.values(data).reduce((sum: number, value) => sum + decodedLength(textOf(value)), 0);
  if (bytes > maxBytes) found.push(tooLong("data", maxBytes));
  return [...found, ...(typeRules[textAt(secret, "type")]?.(secret, data) ?? [])];
}

export function secretUpdateErrors(secret: JsonObject, old: JsonObject): FieldError[] {
  const type = secret["type"];
  return [
    ...metaUpdateErrors(secret, old),
    ...(type === old["type"] ? [] : [invalid("type", type, immutable)]),
    ...frozenErrors(secret, old, ["data"]),
    ...secretErrors(secret),
  ];
}

const missing = (data: JsonObject, ...keys: readonly string[]): FieldError[] =>
  keys.filter((key) => !Object.hasOwn(data, key)).map((key) => required(`data[${key}]`));

function jsonErrors(data: JsonObject, key: string): FieldError[] {
  if (!Object.hasOwn(data, key)) return [required(`data[${key}]`)];
  try {
    const value: unknown = JSON.parse(Buffer.from(textOf(data[key]), "base64").toString());
    if (isJsonObject(value)) return [];
  } catch {
    // Reported below: the content of a secret is not repeated in a message.
  }
  return [invalid(`data[${key}]`, "<secret contents redacted>", "invalid JSON")];
}

const accountName = "kubernetes.io/service-account.name";

/** What a Secret of a known type must contain. */
const typeRules: Readonly<Record<string, (secret: JsonObject, data: JsonObject) => FieldError[]>> = {
  "kubernetes.io/tls": (_secret, data) => missing(data, "tls.crt", "tls.key"),
  "kubernetes.io/dockerconfigjson": (_secret, data) => jsonErrors(data, ".dockerconfigjson"),
  "kubernetes.io/dockercfg": (_secret, data) => jsonErrors(data, ".dockercfg"),
  "kubernetes.io/basic-auth": (_secret, data) =>
    Object.hasOwn(data, "username") || Object.hasOwn(data, "password")
      ? []
      : missing(data, "username", "password"),
  "kubernetes.io/ssh-auth": (_secret, data) =>
    textOf(data["ssh-privatekey"]) === "" ? [required("data[ssh-privatekey]")] : [],
  "kubernetes.io/service-account-token": (secret) =>
    textOf(at(secret, "metadata", "annotations", accountName)) === ""
      ? [required(`metadata.annotations[${accountName}]`)]
      : [],
};
