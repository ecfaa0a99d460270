import { at, isJsonObject, listAt, textAt } from "../json.ts";
import { forbidden, invalid, invalidAll, notSupported, required, type FieldError } from "./errors.ts";
import { negativeErrors } from "./meta.ts";
import { headerNameErrors } from "./names.ts";
import { portErrors, portOrNameErrors } from "./ports.ts";

const handlers: Readonly<Record<string, (handler: unknown, path: string) => FieldError[]>> = {
  exec: (handler, path) => (listAt(handler, "command").length === 0 ? [required(`${path}.command`)] : []),
  httpGet: httpErrors,
  tcpSocket: (handler, path) => portOrNameErrors(at(handler, "port"), `${path}.port`),
  grpc: (handler, path) => portErrors(at(handler, "port"), `${path}.port`),
  sleep: (handler, path) => negativeErrors(handler, path, "seconds"),
};

function httpErrors(handler: unknown, path: string): FieldError[] {
  const scheme = textAt(handler, "scheme");
  const supported = ["HTTP", "HTTPS"];
  return [
    ...(textAt(handler, "path") === "" ? [required(`${path}.path`)] : []),
    ...portOrNameErrors(at(handler, "port"), `${path}.port`),
    ...(supported.includes(scheme) ? [] : [notSupported(`${path}.scheme`, scheme, supported)]),
    ...listAt(handler, "httpHeaders").flatMap((header) => {
      const name = textAt(header, "name");
      return invalidAll(`${path}.httpHeaders`, name, headerNameErrors(name));
    }),
  ];
}

/** Exactly one way to ask. */
function handlerErrors(holder: unknown, path: string): FieldError[] {
  const given = Object.keys(handlers).filter((name) => at(holder, name) !== undefined);
  if (given.length === 0) return [required(path, "must specify a handler type")];
  return given.flatMap((name, index) =>
    index === 0
      ? (handlers[name]?.(at(holder, name), `${path}.${name}`) ?? [])
      : [forbidden(`${path}.${name}`, "may not specify more than 1 handler type")],
  );
}

/** A probe of a container; `kind` is the field that holds it. */
export function probeErrors(probe: unknown, kind: string, path: string): FieldError[] {
  if (!isJsonObject(probe)) return [];
  const found = [
    ...handlerErrors(probe, path),
    ...negativeErrors(probe, path, "initialDelaySeconds", "timeoutSeconds", "periodSeconds"),
    ...negativeErrors(probe, path, "successThreshold", "failureThreshold"),
  ];
  const grace = probe["terminationGracePeriodSeconds"];
  if (typeof grace === "number" && grace <= 0) {
    found.push(invalid(`${path}.terminationGracePeriodSeconds`, grace, "must be greater than 0"));
  }
  if (kind === "readinessProbe") {
    return grace === undefined
      ? found
      : [
          ...found,
          invalid(`${path}.terminationGracePeriodSeconds`, grace, "must not be set for readinessProbes"),
        ];
  }
  const successes = probe["successThreshold"];
  return successes === 1
    ? found
    : [...found, invalid(`${path}.successThreshold`, successes ?? 0, "must be 1")];
}

/** Hooks run after the start and before the stop of a container. */
export function lifecycleErrors(lifecycle: unknown, path: string): FieldError[] {
  return ["postStart", "preStop"].flatMap((hook) => {
    const handler = at(lifecycle, hook);
    return isJsonObject(handler) ? handlerErrors(handler, `${path}.${hook}`) : [];
  });
}
