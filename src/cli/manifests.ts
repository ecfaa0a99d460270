/** Reads the files named by -f, checks every object as the API server will, and reports all errors at once. */
import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { InroadError, codeOf } from "#lib/errors";
import { kindOf, type KubeObject } from "#kube";
import { parseManifests, type Manifest } from "#kube/manifests";
import { applyDefaults, prepareForCreate, unknownFields, validate } from "#kube/server";

export interface Loaded {
  readonly objects: readonly KubeObject[];
  /** What a person should know, though it stops nothing: unknown kinds and fields. */
  readonly warnings: readonly string[];
  /** `file:line` of each object by `Kind namespace/name`. */
  readonly locations: Readonly<Record<string, string>>;
}

const manifestFile = /\.(ya?ml|json)$/;

/** Loads manifests from files, directories (their top level) and `-` (standard input). All errors in one `InvalidInput`. */
export function loadManifests(paths: readonly string[]): Loaded {
  const manifests = paths.flatMap(filesOf).flatMap((file) => parseManifests(readText(file), file));
  const errors = manifests.flatMap(errorsOf);
  if (errors.length > 0) {
    throw new InroadError("InvalidInput", errors.join("\n        "), { mend: "nothing was started" });
  }
  return {
    objects: manifests.map(({ object }) => withNamespace(object)),
    warnings: manifests.flatMap(warningsOf),
    locations: Object.fromEntries(
      manifests.map((manifest) => [locationKey(withNamespace(manifest.object)), positionOf(manifest)]),
    ),
  };
}

function locationKey({ kind, metadata }: KubeObject): string {
  return `${kind} ${metadata?.namespace ?? ""}/${metadata?.name}`;
}

function filesOf(path: string): string[] {
  if (path === "-") return [path];
  try {
    if (!statSync(path).isDirectory()) return [path];
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
    throw new InroadError("NoSuchFile", "no such file or directory", { where: `-f ${path}`, cause: error });
  }
  const files = readdirSync(path).filter((name) => manifestFile.test(name) && !/^inroad\.ya?ml$/.test(name));
  if (files.length === 0) {
    throw new InroadError("NoManifests", "no .yaml, .yml or .json file in this directory", {
      where: `-f ${path}`,
    });
  }
  return files.toSorted().map((name) => join(path, name));
}

function readText(file: string): string {
  return readFileSync(file === "-" ? 0 : file, "utf8");
}

function errorsOf(manifest: Manifest): string[] {
  const { object } = manifest;
  const at = (field?: string): string => positionOf(manifest, field);
  if (object.apiVersion === undefined || object.kind === undefined) {
    return [`${at()}: apiVersion and kind are required`];
  }
  const kind = kindOf(object.apiVersion, object.kind);
  if (kind === undefined) return [];
  return validate(kind, prepareForCreate(kind, applyDefaults(kind, withNamespace(object)))).map(
    (error) =>
      `${at(error.field)}: ${kind.kind} ${object.metadata?.name ?? ""}: ${error.field}: ${error.message}`,
  );
}

function warningsOf(manifest: Manifest): string[] {
  const { object } = manifest;
  const kind = kindOf(object.apiVersion ?? "", object.kind ?? "");
  if (kind === undefined) {
    return [`${positionOf(manifest)}: ${object.kind} (${object.apiVersion}) is accepted, not simulated`];
  }
  return unknownFields(kind, object).map(
    (text) => `${positionOf(manifest)}: ${kind.kind} ${object.metadata?.name}: ${text}`,
  );
}

function positionOf(manifest: Manifest, field?: string): string {
  const position = field === undefined ? undefined : manifest.positionOf(field);
  return `${manifest.file === "-" ? "standard input" : manifest.file}:${position ?? manifest.line}`;
}

function withNamespace(object: KubeObject): KubeObject {
  const kind = kindOf(object.apiVersion ?? "", object.kind ?? "");
  if (kind?.namespaced !== true || object.metadata?.namespace !== undefined) return object;
  return { ...object, metadata: { ...object.metadata, namespace: "default" } };
}
