import { at, isJsonObject, listAt, textAt } from "../json.ts";
import { invalid, invalidAll, notSupported, required, type FieldError } from "./errors.ts";
import { configKeyErrors, dnsSubdomainErrors, environmentNameErrors } from "./names.ts";

/** Fields of a pod that an environment variable can take. */
const podFields = [
  "metadata.name",
  "metadata.namespace",
  "metadata.uid",
  "spec.nodeName",
  "spec.serviceAccountName",
  "status.hostIP",
  "status.hostIPs",
  "status.podIP",
  "status.podIPs",
];
const resources = [
  "limits.cpu",
  "limits.ephemeral-storage",
  "limits.memory",
  "requests.cpu",
  "requests.ephemeral-storage",
  "requests.memory",
];

/** `env` and `envFrom` of a container. */
export function environmentErrors(container: unknown, path: string): FieldError[] {
  const variables = listAt(container, "env").flatMap((variable, index) =>
    variableErrors(variable, `${path}.env[${index}]`),
  );
  const sources = listAt(container, "envFrom").flatMap((source, index) =>
    sourceErrors(source, `${path}.envFrom[${index}]`),
  );
  return [...variables, ...sources];
}

function variableErrors(variable: unknown, path: string): FieldError[] {
  const name = textAt(variable, "name");
  const found =
    name === "" ? [required(`${path}.name`)] : invalidAll(`${path}.name`, name, environmentNameErrors(name));
  const from = at(variable, "valueFrom");
  return isJsonObject(from)
    ? [...found, ...valueFromErrors(from, textAt(variable, "value"), `${path}.valueFrom`)]
    : found;
}

const references: Readonly<Record<string, (reference: unknown, path: string) => FieldError[]>> = {
  fieldRef: fieldErrors,
  resourceFieldRef: resourceFieldErrors,
  configMapKeyRef: keyErrors,
  secretKeyRef: keyErrors,
};

function valueFromErrors(from: unknown, value: string, path: string): FieldError[] {
  const given = Object.keys(references).filter((name) => at(from, name) !== undefined);
  const found = given.flatMap((name) => references[name]?.(at(from, name), `${path}.${name}`) ?? []);
  const names = "`fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`";
  if (given.length === 0) found.push(invalid(path, "", `must specify one of: ${names}`));
  else if (value !== "") found.push(invalid(path, "", "may not be specified when `value` is not empty"));
  else if (given.length > 1)
    found.push(invalid(path, "", "may not have more than one field specified at a time"));
  return found;
}

function fieldErrors(reference: unknown, path: string): FieldError[] {
  const fieldPath = textAt(reference, "fieldPath");
  if (textAt(reference, "apiVersion") === "") return [required(`${path}.apiVersion`)];
  if (fieldPath === "") return [required(`${path}.fieldPath`)];
  if (/^metadata\.(labels|annotations)\['.*'\]$/s.test(fieldPath) || podFields.includes(fieldPath)) return [];
  const known = [
    "metadata.labels",
    "metadata.annotations",
    "spec.restartPolicy",
    "spec.schedulerName",
    "status.phase",
  ];
  if (known.includes(fieldPath)) return [notSupported(`${path}.fieldPath`, fieldPath, podFields)];
  const detail = `error converting fieldPath: field label not supported: ${fieldPath}`;
  return [invalid(`${path}.fieldPath`, fieldPath, detail)];
}

function resourceFieldErrors(reference: unknown, path: string): FieldError[] {
  const resource = textAt(reference, "resource");
  if (resource === "") return [required(`${path}.resource`)];
  const known = resources.includes(resource) || /^(limits|requests)\.hugepages-/.test(resource);
  return known ? [] : [notSupported(`${path}.resource`, resource, resources)];
}

function keyErrors(reference: unknown, path: string): FieldError[] {
  const [name, key] = [textAt(reference, "name"), textAt(reference, "key")];
  return [
    ...(name === "" ? [] : invalidAll(`${path}.name`, name, dnsSubdomainErrors(name))),
    ...(key === "" ? [required(`${path}.key`)] : invalidAll(`${path}.key`, key, configKeyErrors(key))),
  ];
}

function sourceErrors(source: unknown, path: string): FieldError[] {
  const found: FieldError[] = [];
  const prefix = textAt(source, "prefix");
  if (prefix !== "") found.push(...invalidAll(`${path}.prefix`, prefix, environmentNameErrors(prefix)));
  const given = ["configMapRef", "secretRef"].filter((name) => at(source, name) !== undefined);
  for (const reference of given) {
    const name = textAt(source, reference, "name");
    if (name !== "") found.push(...invalidAll(`${path}.${reference}.name`, name, dnsSubdomainErrors(name)));
  }
  if (given.length === 0) found.push(invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"));
  if (given.length > 1) found.push(invalid(path, "", "may not have more than one field specified at a time"));
  return found;
}
