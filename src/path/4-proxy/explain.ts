/** What the Service rules of a node do to a packet, and why: pure, from the same plan that the rules are made of. */
import { familyOf, isInside } from "#lib/ip";
import { chooseEndpoints, findingsAbout } from "#model";
import type {
  Alternative,
  Candidate,
  Endpoint,
  EndpointQuery,
  Explanation,
  Flow,
  IpFamily,
  Outcome,
  Place,
  ServiceModel,
  ServicePort,
  Snapshot,
  Step,
} from "#model";
import { orderOf } from "./order.ts";
import type { KnownOrder } from "./order.ts";
import { addressKey, planProxy, servicePortKey } from "./plan.ts";
import type { PlanOptions, ProxyMode, ProxyPlan, Target, VirtualAddress } from "./plan.ts";
import { predictedIn } from "./predicted.ts";
import { notLetIn, refusal } from "./refusal.ts";
import { backendKey } from "./rotation.ts";
import { slotSchedulers } from "./spread.ts";

type ProxyPlace = Extract<Place, { at: "proxy" }>;

export interface ExplainOptions extends PlanOptions, KnownOrder {
  /** Which rules the node has; `nftables` if not said. */
  readonly mode?: ProxyMode;
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
  const bySlots = { slotSchedulers: slotSchedulers[options.mode ?? "nftables"] ?? [] };
  const plan = planProxy(snapshot, place.node, options.rotation, { ...bySlots, ...options });
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
  const refused = refusedBy(options.mode ?? "nftables", plan, address, isClusterIP);
  const reason = isClusterIP
    ? `no Service port ${flow.destination.port}/${flow.protocol} at ${address}`
    : refused === undefined
      ? `${address}:${flow.destination.port} is no address of a Service`
      : `no Service has ${address}, which is in the Services' network`;
  const step = stepOf(context, {
    action: refused?.action ?? "pass",
    to: endOf(flow),
    evaluated: here.map((at) => ({
      what: `${addressKey(at)} (${at.servicePort})`,
      matched: false,
      why: at.protocol === flow.protocol ? "another port" : "another protocol",
    })),
    predicted: refused === undefined ? [] : [refused.rule],
  });
  if (refused === undefined) {
    const next = { name: address, place: { at: "node" as const, node: place.node }, flow };
    return { steps: [step], outcome: { kind: "next", alternatives: [next] }, assumptions: [] };
  }
  if (!isClusterIP) {
    const mend = "see which address the Service has: kubectl get services --all-namespaces";
    const kind = refused.action === "drop" ? "dropped" : "rejected";
    return { steps: [step], outcome: { kind, reason, mend }, assumptions: [] };
  }
  const ports = [...new Set(here.map((at) => `${at.port}/${at.protocol}`))].join(", ");
  const service = snapshot.services.get((here[0]?.servicePort ?? "").split(":")[0] ?? "");
  const name = service === undefined ? "the Service" : `Service ${service.namespace}/${service.name}`;
  const outcome: Outcome = { kind: "rejected", reason, mend: `${name} has ${ports}: use one of these` };
  return { steps: [step], outcome, assumptions: [] };
}

/** nftables mode answers for the Services' own networks; where this process serves, nobody listens at other addresses. */
function refusedBy(
  mode: ProxyMode,
  plan: ProxyPlan,
  address: string,
  isClusterIP: boolean,
): { readonly action: "reject" | "drop"; readonly rule: string } | undefined {
  const isOurs = isClusterIP || plan.serviceNetworks.some((network) => isInside(address, network));
  if (mode === "iptables" || !isOurs) return undefined;
  if (mode === "userspace") return { action: "reject", rule: "nobody listens there" };
  const ip = familyOf(address) === "IPv4" ? "ip" : "ip6";
  return isClusterIP
    ? { action: "reject", rule: `unserved: ${ip} daddr @cluster-ips goto reject-it` }
    : { action: "drop", rule: `unserved: ${ip} daddr @service-networks drop` };
}

function explainService(context: ServiceContext): Explanation {
  const { snapshot, place, flow, plan, at, service, port, options } = context;
  const outcast = notLetIn(at, flow);
  const target = outcast === undefined ? targetFor(at, place) : { kind: "drop" as const };
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
  const order = list && orderOf(list, options.mode ?? "nftables", flow.source.address, options);
  const alternatives = (order?.backends ?? []).map((backend) => alternativeOf(context, backend));
  const next = order?.knowsNext === true && alternatives.length > 1 ? alternatives[0]?.name : undefined;
  const chosen = next ?? (alternatives.length === 1 ? alternatives[0]?.name : undefined);
  const step = stepOf(context, {
    action: target.kind === "list" ? "DNAT" : target.kind,
    to: chosen ?? (target.kind === "list" ? at.servicePort : endOf(flow)),
    decision: {
      algorithm: order?.algorithm ?? "round robin",
      candidates,
      ...(chosen === undefined ? {} : { chosen }),
      ...(next === undefined ? {} : { next }),
      reason: reasonOf(context, traffic, choice.usable.length, alternatives, next),
    },
    evaluated: [
      { what: addressKey(at), matched: true, why: `${at.kind} of ${at.servicePort}` },
      ...(at.sourceRanges === undefined
        ? []
        : [
            {
              what: "loadBalancerSourceRanges",
              matched: outcast === undefined,
              why: at.sourceRanges.join(", "),
            },
          ]),
    ],
    rewrites: rewritesOf(context, alternatives),
    predicted: predictedIn(options.mode ?? "nftables", plan, at, target),
  });
  const outcome: Outcome =
    outcast ?? (target.kind === "list" ? { kind: "next", alternatives } : refusal(context, target.kind));
  const about = { kind: "Service", namespace: service.namespace, name: service.name };
  return { steps: [step], outcome, assumptions: findingsAbout(snapshot, about) };
}

function alternativeOf(context: ServiceContext, backend: Pick<Endpoint, "address" | "port">): Alternative {
  const { place, flow, port, snapshot } = context;
  const endpoint = port.endpoints.find((e) => backendKey(e) === backendKey(backend));
  const source = masquerades(context, backend.address)
    ? {
        address: addressOn(snapshot, place.node, familyOf(backend.address)) ?? flow.source.address,
        masqueraded: flow.source.address,
      }
    : flow.source;
  return {
    name: endpoint === undefined ? backendKey(backend) : nameOf(endpoint),
    place: { at: "node", node: place.node },
    flow: { ...flow, source, destination: { ...flow.destination, ...backend } },
  };
}

function addressOn(snapshot: Snapshot, node: string, family: IpFamily): string | undefined {
  return snapshot.nodes.get(node)?.addresses.find((address) => familyOf(address) === family);
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
  alternatives: readonly Alternative[],
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
      : alternatives.length === 1
        ? `; this client meets ${alternatives[0]?.name}`
        : next === undefined
          ? "; whose turn it is only the kernel of the node knows"
          : `; next in turn is ${next}`;
  return `${count} usable endpoint${count === 1 ? "" : "s"} of ${at.servicePort} on ${place.node}, ${policy}${turn}`;
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
