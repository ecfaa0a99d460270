/** What the Service rules of a node do to a packet, and why: pure, from the same plan that the rules are made of. */
import { familyOf } from "#lib/ip";
import { chooseEndpoints, findingsAbout } from "#model";
import type {
  Alternative,
  Candidate,
  Endpoint,
  EndpointQuery,
  Explanation,
  Flow,
  Outcome,
  Place,
  Scheduler,
  ServiceModel,
  ServicePort,
  Snapshot,
  Step,
} from "#model";
import { addressKey, planProxy, servicePortKey } from "./plan.ts";
import type { EndpointList, ProxyMode, ProxyPlan, Target, VirtualAddress } from "./plan.ts";
import { predictedIn } from "./predicted.ts";
import { backendKey } from "./rotation.ts";
import type { Rotation } from "./rotation.ts";

type ProxyPlace = Extract<Place, { at: "proxy" }>;

export interface ExplainOptions {
  /** Which rules the node has; `nftables` if not said. */
  readonly mode?: ProxyMode;
  /** The lists in force on this node (`Proxy.rotation`): tells whose turn is next. */
  readonly rotation?: ReadonlyMap<string, Rotation>;
  /** Endpoints that do not answer connections of this node (`Proxy.silent`). */
  readonly silent?: ReadonlySet<string>;
}

/**
 * Explains what becomes of a packet that enters the rules of `place.node`: sent to one of the endpoints of a Service
 * (one alternative each, named as the candidates of the step are, the next in turn first if it is known), rejected,
 * dropped, or passed on unchanged because it is for no Service.
 */
export function explain(
  snapshot: Snapshot,
  place: ProxyPlace,
  flow: Flow,
  options: ExplainOptions = {},
): Explanation {
  const { address, port } = flow.destination;
  if (address === undefined) {
    const reason = "the address of the destination is not known";
    return { steps: [], outcome: { kind: "unknown", reason }, assumptions: [] };
  }
  const plan = planProxy(snapshot, place.node, options.rotation, { silent: options.silent });
  const at = plan.addresses.get(addressKey({ address, protocol: flow.protocol, port }));
  const found = at === undefined ? undefined : findPort(snapshot, at);
  const context = { snapshot, place, flow, options, plan, address };
  if (at === undefined || found === undefined) return explainOther(context);
  return explainService({ ...context, at, ...found });
}

/**
 * The list whose endpoints take turns for such a packet, as `Proxy.rotation` and `Proxy.rulesOf` call it; undefined where
 * the rules of `place.node` send it to no list.
 */
export function listFor(snapshot: Snapshot, place: ProxyPlace, flow: Flow): string | undefined {
  const { address, port } = flow.destination;
  if (address === undefined) return undefined;
  const plan = planProxy(snapshot, place.node);
  const at = plan.addresses.get(addressKey({ address, protocol: flow.protocol, port }));
  const target = at && targetFor(at, place);
  return target?.kind === "list" ? target.list : undefined;
}

function targetFor(at: VirtualAddress, { from }: ProxyPlace): Target {
  return from === "outside" ? at.target : (at.inside ?? at.target);
}

interface Context {
  readonly snapshot: Snapshot;
  readonly place: ProxyPlace;
  readonly flow: Flow;
  readonly options: ExplainOptions;
  readonly plan: ProxyPlan;
  readonly address: string;
}

interface ServiceContext extends Context {
  readonly at: VirtualAddress;
  readonly service: ServiceModel;
  readonly port: ServicePort;
}

function findPort(
  snapshot: Snapshot,
  at: VirtualAddress,
): { service: ServiceModel; port: ServicePort } | undefined {
  for (const service of snapshot.services.values()) {
    const port = service.ports.find((p) => servicePortKey(service, p) === at.servicePort);
    if (port !== undefined) return { service, port };
  }
  return undefined;
}

/** No Service has this address and port. */
function explainOther(context: Context): Explanation {
  const { snapshot, place, flow, options, plan, address } = context;
  const here = [...plan.addresses.values()].filter((at) => at.address === address);
  const isClusterIP = here.some((at) => at.kind === "ClusterIP");
  const rejected = isClusterIP && options.mode !== "iptables";
  const reason = isClusterIP
    ? `no Service port ${flow.destination.port}/${flow.protocol} at ${address}`
    : `${address}:${flow.destination.port} is no address of a Service`;
  const step = stepOf(context, {
    action: rejected ? "reject" : "pass",
    to: endOf(flow),
    evaluated: here.map((at) => ({
      what: `${addressKey(at)} (${at.servicePort})`,
      matched: false,
      why: at.protocol === flow.protocol ? "another port" : "another protocol",
    })),
    predicted: rejected ? [refusalIn(options.mode)] : [],
  });
  if (!rejected) {
    const next = { name: address, place: { at: "node" as const, node: place.node }, flow };
    return { steps: [step], outcome: { kind: "next", alternatives: [next] }, assumptions: [] };
  }
  const ports = [...new Set(here.map((at) => `${at.port}/${at.protocol}`))].join(", ");
  const service = snapshot.services.get((here[0]?.servicePort ?? "").split(":")[0] ?? "");
  const name = service === undefined ? "the Service" : `Service ${service.namespace}/${service.name}`;
  const outcome: Outcome = { kind: "rejected", reason, mend: `${name} has ${ports}: use one of these` };
  return { steps: [step], outcome, assumptions: [] };
}

function refusalIn(mode: ProxyMode | undefined): string {
  return mode === "userspace" ? "nobody listens there" : "unserved: ip daddr @cluster-ips goto reject-it";
}

function explainService(context: ServiceContext): Explanation {
  const { snapshot, place, flow, plan, at, service, port, options } = context;
  const target = targetFor(at, place);
  const inside = at.inside !== undefined && place.from !== "outside";
  const traffic = at.kind === "ClusterIP" ? "internal" : inside ? "short-circuit" : "external";
  const choice = chooseEndpoints(port, service, {
    node: place.node,
    zone: snapshot.nodes.get(place.node)?.zone,
    family: familyOf(at.address),
    traffic,
    silent: options.silent,
  });
  const candidates = choice.reasons.map((r): Candidate => ({
    name: nameOf(r.endpoint),
    address: r.endpoint.address,
    port: r.endpoint.port,
    eligible: r.eligible,
    reason: r.reason,
  }));
  const list = target.kind === "list" ? plan.lists.get(target.list) : undefined;
  const alternatives = list === undefined ? [] : inTurn(list, options).map((b) => alternativeOf(context, b));
  const known = list !== undefined && options.rotation?.has(list.key) === true;
  const next = known && alternatives.length > 1 ? alternatives[0]?.name : undefined;
  const chosen = next ?? (alternatives.length === 1 ? alternatives[0]?.name : undefined);
  const step = stepOf(context, {
    action: target.kind === "list" ? "DNAT" : target.kind,
    to: chosen ?? (target.kind === "list" ? at.servicePort : endOf(flow)),
    decision: {
      algorithm: algorithmOf(options.mode, list),
      candidates,
      ...(chosen === undefined ? {} : { chosen }),
      ...(next === undefined ? {} : { next }),
      reason: reasonOf(context, traffic, alternatives.length, next),
    },
    evaluated: [{ what: addressKey(at), matched: true, why: `${at.kind} of ${at.servicePort}` }],
    rewrites: rewritesOf(context, alternatives),
    predicted: predictedIn(options.mode ?? "nftables", plan, at, target),
  });
  const outcome: Outcome =
    target.kind === "list" ? { kind: "next", alternatives } : refusal(context, target.kind);
  const about = { kind: "Service", namespace: service.namespace, name: service.name };
  return { steps: [step], outcome, assumptions: findingsAbout(snapshot, about) };
}

const schedulers: Readonly<Record<Scheduler, string>> = {
  rr: "round robin",
  wrr: "weighted round robin",
  lc: "least connections",
  sh: "source hash",
};

/** How an endpoint is chosen: the Service's own wish where the mode can follow it. */
function algorithmOf(mode: ProxyMode | undefined, list: EndpointList | undefined): string {
  return schedulers[mode === "userspace" ? (list?.scheduler ?? "rr") : "rr"];
}

function inTurn(list: EndpointList, options: ExplainOptions): readonly Pick<Endpoint, "address" | "port">[] {
  const rotation = options.rotation?.get(list.key);
  // Of another length, the plan has already turned the slots so that the next one is first.
  const next = rotation?.slots.length === list.slots.length ? rotation.next : 0;
  return [...list.slots.slice(next), ...list.slots.slice(0, next)];
}

function alternativeOf(context: ServiceContext, backend: Pick<Endpoint, "address" | "port">): Alternative {
  const { place, flow, port, snapshot } = context;
  const endpoint = port.endpoints.find((e) => backendKey(e) === backendKey(backend));
  const source = masquerades(context, backend.address)
    ? { address: snapshot.nodes.get(place.node)?.address ?? flow.source.address }
    : flow.source;
  return {
    name: endpoint === undefined ? backendKey(backend) : nameOf(endpoint),
    place: { at: "node", node: place.node },
    flow: { ...flow, source, destination: { ...flow.destination, ...backend } },
  };
}

function masquerades({ at, place, flow }: ServiceContext, endpoint: string): boolean {
  if (flow.source.address === endpoint || at.masquerade === "everybody") return true;
  return at.masquerade === "not-pods" ? place.from !== "pod" : place.from === "node";
}

function rewritesOf(context: ServiceContext, alternatives: readonly Alternative[]): readonly string[] {
  const { flow, place, address } = context;
  const [only] = alternatives.length === 1 ? alternatives : [];
  const many = `one of ${alternatives.length} endpoints`;
  if (alternatives.length === 0) return [];
  const to = only === undefined ? many : `${only.flow.destination.address}:${only.flow.destination.port}`;
  const masqueraded = alternatives.filter((a) => masquerades(context, a.flow.destination.address ?? ""));
  const hairpin =
    masqueraded.length === alternatives.length ? "" : ` if ${flow.source.address} is chosen itself`;
  return [
    `destination ${address}:${flow.destination.port} -> ${to}`,
    ...(masqueraded.length === 0
      ? []
      : [`source ${flow.source.address} -> an address of ${place.node} (masquerade)${hairpin}`]),
  ];
}

function reasonOf(
  context: ServiceContext,
  traffic: EndpointQuery["traffic"],
  count: number,
  next: string | undefined,
): string {
  const { at, service, place } = context;
  const policy =
    traffic === "short-circuit"
      ? "externalTrafficPolicy Local does not bind connections from inside the cluster"
      : traffic === "internal"
        ? `internalTrafficPolicy ${service.internalTrafficPolicy}`
        : `externalTrafficPolicy ${service.externalTrafficPolicy}`;
  const turn =
    count < 2
      ? ""
      : next === undefined
        ? "; whose turn it is only the kernel of the node knows"
        : `; next in turn is ${next}`;
  return `${count} usable endpoint${count === 1 ? "" : "s"} of ${at.servicePort} on ${place.node}, ${policy}${turn}`;
}

function refusal(context: ServiceContext, kind: "reject" | "drop"): Outcome {
  const { snapshot, service, port, place, at } = context;
  const name = `Service ${service.namespace}/${service.name}`;
  const { endpoints } = port;
  if (kind === "drop") {
    const policy = at.kind === "ClusterIP" ? "internalTrafficPolicy" : "externalTrafficPolicy";
    const nodes = [...new Set(endpoints.filter((e) => e.ready).map((e) => e.node ?? "unknown node"))].join(
      ", ",
    );
    return {
      kind: "dropped",
      reason: `${name} has ${policy} Local and no ready endpoint on ${place.node} (it has on: ${nodes})`,
      mend: `send to a node that has one, run a pod on ${place.node}, or set ${policy}: Cluster`,
    };
  }
  const why =
    endpoints.length === 0 ? "it has no endpoints" : `${endpoints.length} endpoint(s), none of them ready`;
  const finding = findingsAbout(snapshot, {
    kind: "Service",
    namespace: service.namespace,
    name: service.name,
  });
  const look = `kubectl -n ${service.namespace} get endpointslices -l kubernetes.io/service-name=${service.name}`;
  return {
    kind: "rejected",
    reason: `${name} has no ready endpoints: ${finding.find((f) => f.mend !== undefined && endpoints.length === 0)?.message ?? why}`,
    mend: finding.find((f) => f.mend !== undefined)?.mend ?? `see why its pods are not ready: ${look}`,
  };
}

function stepOf({ place, flow, options }: Context, rest: Pick<Step, "action" | "to"> & Partial<Step>): Step {
  return {
    hop: "4-proxy",
    component: `proxy ${place.node} (${options.mode ?? "nftables"})`,
    from: flow.source.address,
    evaluated: [],
    rewrites: [],
    predicted: [],
    ...rest,
  };
}

function endOf({ destination }: Flow): string {
  return `${destination.address}:${destination.port}`;
}

function nameOf(endpoint: Endpoint): string {
  const { pod } = endpoint;
  return pod === undefined ? backendKey(endpoint) : `${pod.namespace}/${pod.name}`;
}
