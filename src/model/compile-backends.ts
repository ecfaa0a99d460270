/** Backends of Ingress paths: a Service port, or the reason and the mend. */
import type { IngressBackend as WireBackend } from "kubernetes-types/networking/v1.js";
import { didYouMean, nearest } from "./suggest.ts";
import type { Finding, IngressBackend, ObjectRef, ServiceModel, ServicePort } from "./types.ts";

export interface BackendContext {
  readonly ingress: ObjectRef & { readonly namespace: string };
  /** Field path of the backend. */
  readonly field: string;
  readonly services: ReadonlyMap<string, ServiceModel>;
}

export interface CompiledBackend {
  readonly backend: IngressBackend;
  readonly findings: readonly Finding[];
}

/** Resolves a backend's Service and port. An unusable one is a value, never an exception. */
export function compileBackend(backend: WireBackend | undefined, context: BackendContext): CompiledBackend {
  const wanted = backend?.service;
  if (wanted === undefined) return invalid(context, 404, ...notAService(backend));
  const { namespace } = context.ingress;
  const key = `${namespace}/${wanted.name}`;
  const service = context.services.get(key);
  if (service === undefined) return invalid(context, 503, ...missingService(context, wanted.name));
  if (service.type === "ExternalName") return externalName(context, service);
  const port = findPort(service, wanted.port?.number, wanted.port?.name);
  if (port === undefined) {
    return invalid(context, 503, ...missingPort(service, wanted.port?.number ?? wanted.port?.name));
  }
  return {
    backend: { kind: "service", namespace, service: service.name, port },
    findings: [],
  };
}

/** An Ingress speaks HTTP, so only TCP ports count. */
function findPort(
  service: ServiceModel,
  number: number | undefined,
  name: string | undefined,
): ServicePort | undefined {
  const tcp = service.ports.filter((port) => port.protocol === "TCP");
  return number === undefined
    ? tcp.find((port) => name !== undefined && port.name === name)
    : tcp.find((port) => port.port === number);
}

/** Code, reason, mend, and the Service that was meant. */
type Problem = readonly [code: string, reason: string, mend: string, service?: string];

function notAService(backend: WireBackend | undefined): Problem {
  const resource = backend?.resource;
  return resource === undefined
    ? ["NoBackend", "the path has no backend", "name a Service in backend.service"]
    : [
        "ResourceBackend",
        `backend ${resource.kind} ${resource.name} is a resource backend, which is not implemented`,
        "name a Service in backend.service",
      ];
}

function missingService(context: BackendContext, name: string): Problem {
  const { namespace } = context.ingress;
  const siblings = [...context.services.values()]
    .filter((service) => service.namespace === namespace)
    .map((service) => service.name);
  const elsewhere = [...context.services.values()].find((service) => service.name === name);
  const guess = nearest(name, siblings);
  const mend =
    guess === undefined && elsewhere !== undefined
      ? `an Ingress reaches Services of its own namespace only; ${elsewhere.namespace}/${name} is in another one`
      : `${guess === undefined ? "create the Service" : `write ${guess}`} or correct ${context.field}.service.name`;
  const reason = `Service ${namespace}/${name} does not exist${didYouMean(name, siblings)}`;
  return ["DanglingBackend", reason, mend, name];
}

function missingPort(service: ServiceModel, wanted: number | string | undefined): Problem {
  const ports = service.ports.map((port) =>
    port.name === "" ? String(port.port) : `${port.port} (${port.name})`,
  );
  const has = ports.length === 0 ? "it has no ports" : `it has ${ports.join(", ")}`;
  const named = service.ports.map((port) => port.name).filter((name) => name !== "");
  const guess = typeof wanted === "string" ? didYouMean(wanted, named) : "";
  return [
    typeof wanted === "string" ? "BackendPortNameMissing" : "BackendPortMissing",
    `Service ${service.namespace}/${service.name} has no TCP port ${wanted ?? "given"}; ${has}${guess}`,
    "use one of the Service's ports in backend.service.port, or add the port to the Service",
    service.name,
  ];
}

function externalName(context: BackendContext, service: ServiceModel): CompiledBackend {
  const { backend, findings } = invalid(
    context,
    503,
    "ExternalNameBackend",
    `Service ${service.namespace}/${service.name} is an ExternalName for ${service.externalName ?? "nothing"}; such backends are not implemented`,
    "point the path at a Service with pods",
    service.name,
  );
  return { backend, findings: findings.map((finding) => ({ ...finding, affectsRouting: true })) };
}

function invalid(context: BackendContext, status: 404 | 503, ...problem: Problem): CompiledBackend {
  const [code, reason, mend, service] = problem;
  return {
    backend: { kind: "invalid", ...(service === undefined ? {} : { service }), status, reason, mend },
    findings: [
      {
        code,
        severity: "error",
        object: context.ingress,
        field: context.field,
        message: reason,
        mend,
        affectsRouting: false,
      },
    ],
  };
}
