/** What the ingress does with a request, from the snapshot alone; the engine acts on it and `explain` tells it. */
import { familyOf } from "#lib/ip";
import {
  chooseEndpoints,
  match,
  type IngressPath,
  type PodAt,
  type ServicePort,
  type Snapshot,
} from "#model";

export type Decision = Forward | Refuse;

export interface Forward {
  readonly kind: "forward";
  readonly rule: IngressPath;
  readonly namespace: string;
  readonly service: string;
  readonly servicePort: ServicePort;
  /** The fully qualified name of the Service, without a final dot. */
  readonly name: string;
  /** The addresses that the name should resolve to by the snapshot; empty for a headless Service. */
  readonly addresses: readonly string[];
}

interface Refuse {
  readonly kind: "refuse";
  readonly status: 404 | 503;
  readonly rule?: IngressPath;
  /** For operators: names the objects. */
  readonly reason: string;
  readonly mend: string;
}

/** `host` as in the Host field, `path` as sent; the semantics are the model's. */
export function decide(snapshot: Snapshot, host: string, path: string): Decision {
  const rule = match(snapshot.routes, host, path);
  return rule === undefined ? noRule(snapshot, host, path) : decideRule(snapshot, rule);
}

/** What becomes of a request that this rule took. */
export function decideRule(snapshot: Snapshot, rule: IngressPath): Decision {
  const { backend } = rule;
  if (backend.kind === "invalid") {
    return { kind: "refuse", status: backend.status, rule, reason: backend.reason, mend: backend.mend };
  }
  const { namespace, service, port } = backend;
  const model = snapshot.services.get(`${namespace}/${service}`);
  if (model === undefined) {
    const mend = `create Service ${namespace}/${service}`;
    return {
      kind: "refuse",
      status: 503,
      rule,
      reason: `Service ${namespace}/${service} does not exist`,
      mend,
    };
  }
  const name = `${service}.${namespace}.svc.${snapshot.domain}`;
  return { kind: "forward", rule, namespace, service, servicePort: port, name, addresses: model.clusterIPs };
}

function noRule(snapshot: Snapshot, host: string, path: string): Refuse {
  const ingresses = snapshot.routes.hosts.size === 0 && snapshot.routes.defaultBackend === undefined;
  return {
    kind: "refuse",
    status: 404,
    reason: ingresses
      ? "no Ingress of this class has a rule"
      : `no Ingress rule takes host ${host} and path ${path}`,
    mend: "add a rule for this host and path to an Ingress, or a default backend",
  };
}

/**
 * What a connection from this pod to the Service meets, as the rules of its node see it: an endpoint, none at all (the
 * rules reject it), or none within the traffic policy (they drop it).
 */
export type Reach = "endpoint" | "none" | "dropped";

export function reachOf(snapshot: Snapshot, decision: Decision, pod: PodAt): Reach {
  if (decision.kind === "refuse") return "none";
  const service = snapshot.services.get(`${decision.namespace}/${decision.service}`);
  if (service === undefined) return "none";
  const node = snapshot.pods.get(`${pod.namespace}/${pod.name}`)?.node ?? "";
  const choice = chooseEndpoints(decision.servicePort, service, {
    node,
    zone: snapshot.nodes.get(node)?.zone,
    family: familyOf(service.clusterIPs[0] ?? ""),
    traffic: "internal",
  });
  if (choice.usable.length > 0) return "endpoint";
  return choice.policyDrop ? "dropped" : "none";
}

/** The port to connect to: the Service's, but the pod's own behind a headless Service, where no rule translates it. */
export function upstreamPort(decision: Forward, address: string): number {
  if (decision.addresses.length > 0) return decision.servicePort.port;
  const endpoint = decision.servicePort.endpoints.find((candidate) => candidate.address === address);
  return endpoint?.port ?? decision.servicePort.port;
}
