/**
 * What `kubectl apply` notes on every object that it writes: the manifest, so that a later apply can tell which fields
 * were taken out of it. Objects from a manifest carry the same note, so that users can go on with kubectl.
 */
import { isJsonObject } from "./json.ts";
import type { KubeObject } from "./types.ts";

const annotation = "kubectl.kubernetes.io/last-applied-configuration";

/** All annotations of an object together, in bytes; more is refused by an API server. */
const longestAnnotations = 256 * 1024;

/**
 * The object with its manifest noted, byte for byte as kubectl writes it, so that an unchanged apply changes nothing.
 * An object too large for its note stays as it is.
 */
export function withLastApplied(object: KubeObject): KubeObject {
  const { [annotation]: _older, ...annotations } = object.metadata?.annotations ?? {};
  const manifest = { ...object, metadata: { ...object.metadata, annotations } };
  const noted = { ...annotations, [annotation]: `${goJson(manifest)}\n` };
  const size = Object.entries(noted).reduce((sum, entry) => sum + Buffer.byteLength(entry.join("")), 0);
  return size > longestAnnotations
    ? object
    : { ...object, metadata: { ...object.metadata, annotations: noted } };
}

/** JSON as Go's encoding/json writes it: fields in order, and without the characters that HTML or JavaScript minds. */
function goJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => goJson(item)).join(",")}]`;
  if (!isJsonObject(value)) return JSON.stringify(value).replaceAll(/[<>&\u2028\u2029]/g, escaped);
  const names = Object.keys(value).toSorted();
  return `{${names.map((name) => `${goJson(name)}:${goJson(value[name])}`).join(",")}}`;
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
