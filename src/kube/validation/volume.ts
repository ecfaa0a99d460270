import { at, listAt, textAt, type JsonObject, isJsonObject } from "../json.ts";
import {
  duplicate,
  forbidden,
  invalid,
  invalidAll,
  notSupported,
  required,
  type FieldError,
} from "./errors.ts";
import { configKeyErrors, dnsLabelErrors } from "./names.ts";

type Check = (source: unknown, path: string) => FieldError[];

const modeRange = "must be a number between 0 and 0777 (octal), both inclusive";
const hostPathTypes = [
  "",
  "BlockDevice",
  "CharDevice",
  "Directory",
  "DirectoryOrCreate",
  "File",
  "FileOrCreate",
  "Socket",
];

const needs =
  (...fields: readonly string[]): Check =>
  (source, path) =>
    fields.filter((field) => textAt(source, field) === "").map((field) => required(`${path}.${field}`));

const both =
  (...checks: readonly Check[]): Check =>
  (source, path) =>
    checks.flatMap((check) => check(source, path));

/** What the common volume sources must hold; sources that are not listed are accepted as they are. */
const sources: Readonly<Record<string, Check>> = {
  hostPath: both(needs("path"), hostPathErrors),
  secret: both(needs("secretName"), fileErrors),
  configMap: both(needs("name"), fileErrors),
  downwardAPI: modeErrors("defaultMode"),
  projected: projectedErrors,
  persistentVolumeClaim: needs("claimName"),
  nfs: both(needs("server", "path"), (source, path) =>
    textAt(source, "path").startsWith("/") || textAt(source, "path") === ""
      ? []
      : [invalid(`${path}.path`, textAt(source, "path"), "must be an absolute path")],
  ),
  csi: needs("driver"),
};

/** The volumes of a pod: what is wrong, and the names that mounts may use. */
export function volumeErrors(
  volumes: readonly unknown[],
  path: string,
): { errors: FieldError[]; names: ReadonlySet<string> } {
  const names = new Set<string>();
  const errors: FieldError[] = [];
  volumes.forEach((volume, index) => {
    const here = `${path}[${index}]`;
    const name = textAt(volume, "name");
    const found = [
      ...sourceErrors(isJsonObject(volume) ? volume : {}, here),
      ...(name === "" ? [required(`${here}.name`)] : invalidAll(`${here}.name`, name, dnsLabelErrors(name))),
      ...(names.has(name) ? [duplicate(`${here}.name`, name)] : []),
    ];
    if (found.length === 0) names.add(name);
    errors.push(...found);
  });
  return { errors, names };
}

/** The order in which a server looks at the sources; it decides which of two is the one too many. */
const order = [
  "emptyDir",
  "hostPath",
  "gitRepo",
  "gcePersistentDisk",
  "awsElasticBlockStore",
  "secret",
  "nfs",
  "iscsi",
  "glusterfs",
  "flocker",
  "persistentVolumeClaim",
  "rbd",
  "cinder",
  "cephfs",
  "quobyte",
  "downwardAPI",
  "fc",
  "flexVolume",
  "configMap",
];

const rank = (name: string): number => (order.includes(name) ? order.indexOf(name) : order.length);

function sourceErrors(volume: JsonObject, path: string): FieldError[] {
  const given = Object.keys(volume).filter((name) => name !== "name" && volume[name] !== undefined);
  const sorted = given.toSorted((a, b) => rank(a) - rank(b));
  if (sorted.length === 0) return [required(path, "must specify a volume type")];
  return sorted.flatMap((name, index) =>
    index === 0
      ? (sources[name]?.(volume[name], `${path}.${name}`) ?? [])
      : [forbidden(`${path}.${name}`, "may not specify more than 1 volume type")],
  );
}

function hostPathErrors(source: unknown, path: string): FieldError[] {
  const type = textAt(source, "type");
  return hostPathTypes.includes(type) ? [] : [notSupported(`${path}.type`, type, hostPathTypes)];
}

function modeErrors(field: string): Check {
  return (source, path) => {
    const mode = at(source, field);
    if (typeof mode !== "number" || (mode >= 0 && mode <= 0o777)) return [];
    return [invalid(`${path}.${field}`, mode, modeRange)];
  };
}

function fileErrors(source: unknown, path: string): FieldError[] {
  const items = listAt(source, "items").flatMap((item, index) => {
    const here = `${path}.items[${index}]`;
    const [key, file] = [textAt(item, "key"), textAt(item, "path")];
    return [
      ...(key === "" ? [required(`${here}.key`)] : invalidAll(`${here}.key`, key, configKeyErrors(key))),
      ...(file === "" ? [required(`${here}.path`)] : relativePathErrors(file, `${here}.path`)),
      ...modeErrors("mode")(item, here),
    ];
  });
  return [...modeErrors("defaultMode")(source, path), ...items];
}

function relativePathErrors(file: string, path: string): FieldError[] {
  if (file.startsWith("/")) return [invalid(path, file, "must be a relative path")];
  if (file.split("/").includes("..")) return [invalid(path, file, "must not contain '..'")];
  return file.startsWith("..") ? [invalid(path, file, "must not start with '..'")] : [];
}

const projections: Readonly<Record<string, Check>> = {
  secret: both(needs("name"), fileErrors),
  configMap: both(needs("name"), fileErrors),
  serviceAccountToken: needs("path"),
};

function projectedErrors(source: unknown, path: string): FieldError[] {
  const found = listAt(source, "sources").flatMap((item, index) =>
    Object.entries(projections).flatMap(([name, check]) => {
      const projection = at(item, name);
      return projection === undefined ? [] : check(projection, `${path}.sources[${index}].${name}`);
    }),
  );
  return [...modeErrors("defaultMode")(source, path), ...found];
}
