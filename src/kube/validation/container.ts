import { at, listAt, objectAt, scalarText, textAt, textOf, type JsonObject } from "../json.ts";
import { environmentErrors } from "./environment.ts";
import {
  duplicate,
  forbidden,
  invalid,
  invalidAll,
  notFound,
  notSupported,
  required,
  type FieldError,
} from "./errors.ts";
import { dnsLabelErrors, portNameErrors } from "./names.ts";
import { portErrors, protocols } from "./ports.ts";
import { lifecycleErrors, probeErrors } from "./probe.ts";
import { resourceErrors } from "./resources.ts";

const pullPolicies = ["Always", "IfNotPresent", "Never"];
const messagePolicies = ["FallbackToLogsOnError", "File"];

/** The containers of a pod; at least one. `volumes` are the names that mounts may refer to. */
export function containerErrors(
  containers: readonly unknown[],
  volumes: ReadonlySet<string>,
  path: string,
): FieldError[] {
  if (containers.length === 0) return [required(path)];
  const names = new Set<string>();
  const found = containers.flatMap((container, index) => {
    const here = `${path}[${index}]`;
    const errors = [
      ...commonErrors(container, volumes, here),
      ...nameTwice(container, names, here),
      ...lifecycleErrors(at(container, "lifecycle"), `${here}.lifecycle`),
      ...allProbes(container, here),
    ];
    const restart = at(container, "restartPolicy");
    return restart === undefined
      ? errors
      : [...errors, forbidden(`${here}.restartPolicy`, "may not be set for non-init containers")];
  });
  return [...found, ...hostPortErrors(containers, path)];
}

function nameTwice(container: unknown, names: Set<string>, path: string): FieldError[] {
  const name = textAt(container, "name");
  if (names.has(name)) return [duplicate(`${path}.name`, name)];
  names.add(name);
  return [];
}

function allProbes(container: unknown, path: string): FieldError[] {
  return ["livenessProbe", "readinessProbe", "startupProbe"].flatMap((probe) =>
    probeErrors(at(container, probe), probe, `${path}.${probe}`),
  );
}

/** Init containers: like containers, but their names may not repeat those, and only sidecars have probes. */
export function initContainerErrors(
  spec: JsonObject,
  volumes: ReadonlySet<string>,
  path: string,
): FieldError[] {
  const names = new Set(listAt(spec, "containers").map((container) => textAt(container, "name")));
  return listAt(spec, "initContainers").flatMap((container, index) => {
    const here = `${path}[${index}]`;
    const restart = textAt(container, "restartPolicy");
    const found = [...commonErrors(container, volumes, here), ...nameTwice(container, names, here)];
    if (restart !== "" && restart !== "Always") {
      found.push(notSupported(`${here}.restartPolicy`, restart, ["Always"]));
    }
    if (restart === "Always") {
      return [
        ...found,
        ...lifecycleErrors(at(container, "lifecycle"), `${here}.lifecycle`),
        ...allProbes(container, here),
        ...hostPortErrors([container], path),
      ];
    }
    for (const field of ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"]) {
      if (at(container, field) === undefined) continue;
      found.push(
        forbidden(`${here}.${field}`, "may not be set for init containers without restartPolicy=Always"),
      );
    }
    return [...found, ...hostPortErrors([container], path)];
  });
}

function commonErrors(container: unknown, volumes: ReadonlySet<string>, path: string): FieldError[] {
  const [name, image] = [textAt(container, "name"), textAt(container, "image")];
  const found =
    name === "" ? [required(`${path}.name`)] : invalidAll(`${path}.name`, name, dnsLabelErrors(name));
  if (image === "") found.push(required(`${path}.image`));
  else if (image !== image.trim()) {
    found.push(invalid(`${path}.image`, image, "must not have leading or trailing whitespace"));
  }
  return [
    ...found,
    ...oneOf(container, path, "terminationMessagePolicy", messagePolicies),
    ...portListErrors(listAt(container, "ports"), `${path}.ports`),
    ...environmentErrors(container, path),
    ...mountErrors(listAt(container, "volumeMounts"), volumes, `${path}.volumeMounts`),
    ...oneOf(container, path, "imagePullPolicy", pullPolicies),
    ...resourceErrors(objectAt(container, "resources"), `${path}.resources`),
  ];
}

function oneOf(container: unknown, path: string, field: string, supported: readonly string[]): FieldError[] {
  const value = textAt(container, field);
  if (value === "") return [required(`${path}.${field}`)];
  return supported.includes(value) ? [] : [notSupported(`${path}.${field}`, value, supported)];
}

function portListErrors(ports: readonly unknown[], path: string): FieldError[] {
  const names = new Set<string>();
  return ports.flatMap((port, index) => {
    const here = `${path}[${index}]`;
    const protocol = textAt(port, "protocol");
    const number = at(port, "containerPort") ?? 0;
    return [
      ...portName(textAt(port, "name"), names, `${here}.name`),
      ...(number === 0 ? [required(`${here}.containerPort`)] : portErrors(number, `${here}.containerPort`)),
      ...((at(port, "hostPort") ?? 0) === 0 ? [] : portErrors(at(port, "hostPort"), `${here}.hostPort`)),
      ...(protocols.includes(protocol) ? [] : [notSupported(`${here}.protocol`, protocol, protocols)]),
    ];
  });
}

function portName(name: string, names: Set<string>, path: string): FieldError[] {
  if (name === "") return [];
  const malformed = portNameErrors(name);
  if (malformed.length > 0) return invalidAll(path, name, malformed);
  if (names.has(name)) return [duplicate(path, name)];
  names.add(name);
  return [];
}

/** Two containers of a pod cannot listen on one port of the node. */
function hostPortErrors(containers: readonly unknown[], path: string): FieldError[] {
  const used = new Set<string>();
  return containers.flatMap((container, index) =>
    listAt(container, "ports").flatMap((port, place) => {
      const hostPort = at(port, "hostPort") ?? 0;
      if (hostPort === 0) return [];
      const key = `${textAt(port, "protocol")}/${textAt(port, "hostIP")}/${scalarText(hostPort)}`;
      if (used.has(key)) return [duplicate(`${path}[${index}].ports[${place}].hostPort`, key)];
      used.add(key);
      return [];
    }),
  );
}

function mountErrors(mounts: readonly unknown[], volumes: ReadonlySet<string>, path: string): FieldError[] {
  const paths = new Set<string>();
  return mounts.flatMap((mount, index) => {
    const here = `${path}[${index}]`;
    const [name, mountPath] = [textAt(mount, "name"), textAt(mount, "mountPath")];
    const found: FieldError[] = [];
    if (name === "") found.push(required(`${here}.name`));
    if (!volumes.has(name)) found.push(notFound(`${here}.name`, name));
    if (mountPath === "") found.push(required(`${here}.mountPath`));
    if (paths.has(mountPath)) found.push(invalid(`${here}.mountPath`, mountPath, "must be unique"));
    paths.add(mountPath);
    return [...found, ...subPathErrors(textOf(at(mount, "subPath")), `${here}.subPath`)];
  });
}

function subPathErrors(subPath: string, path: string): FieldError[] {
  if (subPath.startsWith("/")) return [invalid(path, subPath, "must be a relative path")];
  return subPath.split("/").includes("..") ? [invalid(path, subPath, "must not contain '..'")] : [];
}
