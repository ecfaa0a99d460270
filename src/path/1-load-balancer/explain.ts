/** Why a request from outside reaches which node: the public DNS, then the load balancer. */
import { externalAddresses, followPublicName, preferredAddresses } from "#model";
import type {
  Candidate,
  Explanation,
  Flow,
  LoadBalancerAlgorithm,
  NodeModel,
  Outcome,
  Place,
  ServiceModel,
  ServicePort,
  Snapshot,
  Step,
} from "#model";
import { endpointText } from "#model";
import { familyOf, isIPv6 } from "#lib/ip";
import { formatRecord } from "#wire/dns";
import { outsideAddresses } from "./outside.ts";
import { isBalanced, planService, predictedHealth, type Proxying, sortedNodes } from "./plan.ts";
import { publicAnswer } from "./public-dns.ts";

type OutsidePlace = Extract<Place, { at: "public-dns" | "edge" }>;

/** Explains the two places outside of the cluster. What nodes answer to health checks is predicted from their endpoints. */
export function explain(snapshot: Snapshot, place: OutsidePlace, flow: Flow): Explanation {
  return place.at === "public-dns" ? explainName(snapshot, flow) : explainEdge(snapshot, flow);
}

function explainName(snapshot: Snapshot, flow: Flow): Explanation {
  const { name, address } = flow.destination;
  if (name === undefined || address !== undefined) return result([], toEdge(flow, [address ?? ""]));
  const { aliases, end } = followPublicName(snapshot, name);
  const addresses = end && preferredAddresses(end);
  const type = addresses?.some(isIPv6) === true ? "AAAA" : "A";
  const absolute = `${name.replace(/\.$/, "")}.`;
  const step: Step = {
    hop: "1-load-balancer",
    component: "public DNS",
    action: "resolve",
    from: "internet",
    to: name,
    evaluated: [{ what: name, matched: (addresses ?? []).length > 0, why: nameVerdict(addresses) }],
    rewrites: (addresses ?? []).map((found) => `destination ${name} -> ${found}`),
    predicted: (publicAnswer(snapshot, absolute, type, { serial: 0 }).answers ?? []).map(formatRecord),
  };
  const target = aliases.at(-1)?.target;
  if (addresses === undefined && target !== undefined) {
    return result([step], {
      kind: "unknown",
      reason: `${name} is an alias of ${target}, which another DNS decides`,
    });
  }
  if (addresses === undefined) {
    return result([step], {
      kind: "rejected",
      reason: `NXDOMAIN: no Ingress rule has the host ${name}`,
      mend: `add an Ingress with a rule for ${name}`,
    });
  }
  if (addresses.length === 0) {
    return result([step], {
      kind: "rejected",
      reason: `${name} has no address yet: its Ingress has no load balancer in its status`,
      mend: "see that an ingress controller owns its class and that its Service of type LoadBalancer has an address",
    });
  }
  return result([step], toEdge(flow, addresses));
}

function nameVerdict(addresses: readonly string[] | undefined): string {
  if (addresses === undefined) return "NXDOMAIN: no Ingress or Service owns the name";
  return addresses.length === 0 ? "NODATA: the owner has no address yet" : "host of an Ingress or Service";
}

function toEdge(flow: Flow, addresses: readonly string[]): Outcome {
  const alternatives = addresses.map((address) => ({
    name: address,
    place: { at: "edge" } as const,
    flow: { ...flow, destination: { ...flow.destination, address } },
  }));
  return { kind: "next", alternatives };
}

function explainEdge(snapshot: Snapshot, flow: Flow): Explanation {
  const { address = "", port } = flow.destination;
  const node = [...snapshot.nodes.values()].find(({ addresses }) => addresses.includes(address));
  if (node !== undefined) return toNode(flow, node);
  const holders = [...snapshot.services.values()].filter(
    (one) => one.type === "LoadBalancer" && externalAddresses(one).includes(address),
  );
  const owners = holders.filter(isBalanced);
  const service = owners.find((owner) => portOf(owner, flow) !== undefined);
  if (service === undefined) return refused(flow, owners, holders);
  const vip = planService(service, sortedNodes(snapshot), predictedHealth(snapshot)).find(
    (one) => one.address === address && one.port === port && one.protocol === flow.protocol,
  );
  if (vip === undefined) return refused(flow, [service], holders);
  const { algorithm, candidates, proxy } = vip;
  const eligible = candidates.filter((candidate) => candidate.eligible);
  const only = eligible.length === 1 ? eligible[0]?.name : undefined;
  const step: Step = {
    hop: "1-load-balancer",
    component: "load balancer",
    action: proxy === undefined ? "route" : "proxy",
    from: flow.source.address,
    to: endpointText(flow.destination),
    decision: {
      algorithm: algorithm.replace("-", " "),
      candidates,
      ...(only === undefined ? {} : { chosen: only }),
      reason: `${eligible.length} of ${candidates.length} nodes can take connections of ${nameOf(service)}; ${howChosen[algorithm]}`,
    },
    evaluated: owners.map((owner) => ({
      what: `Service ${nameOf(owner)}`,
      matched: owner === service,
      why:
        owner === service
          ? `has ${endpointText(flow.destination)}/${flow.protocol}`
          : `has no port ${port}/${flow.protocol}`,
    })),
    rewrites:
      proxy === undefined
        ? []
        : [
            `a connection of the load balancer's own, which begins with PROXY ${proxy.version} ${flow.source.address}`,
          ],
    predicted: eligible.map((node) =>
      proxy === undefined
        ? `${endpointText(flow.destination)} via ${node.address} (${node.name})`
        : `${endpointText(onward(flow, node, proxy).destination)} (${node.name})`,
    ),
  };
  if (eligible.length === 0) return result([step], noNode(service));
  const alternatives = eligible.map((node) => ({
    name: node.name,
    place: { at: "proxy", node: node.name, from: "outside" } as const,
    flow: proxy === undefined ? flow : onward(flow, node, proxy),
  }));
  return result([step], { kind: "next", alternatives });
}

/** The edge is on the nodes' network: their own addresses are open to the outside. */
function toNode(flow: Flow, { name }: NodeModel): Explanation {
  const to = endpointText(flow.destination);
  const step: Step = {
    hop: "1-load-balancer",
    component: "edge",
    action: "route",
    from: flow.source.address,
    to,
    evaluated: [],
    rewrites: [],
    predicted: [`${to} by eth0 (${name})`],
  };
  const place = { at: "proxy", node: name, from: "outside" } as const;
  return result([step], { kind: "next", alternatives: [{ name, place, flow }] });
}

const howChosen: Readonly<Record<LoadBalancerAlgorithm, string>> = {
  "round-robin": "they take turns",
  "source-hash": "the client's address chooses, the same node each time while the nodes stay",
  "connection-hash": "the client's address and port choose",
};

/** The connection that the load balancer makes itself. */
function onward(flow: Flow, { address = "" }: Candidate, { nodePort }: Proxying): Flow {
  const [own = ""] = outsideAddresses[familyOf(address)].edge.split("/");
  const { name } = flow.destination;
  const destination = { ...(name === undefined ? {} : { name }), address, port: nodePort };
  return { ...flow, source: { address: own }, destination };
}

function portOf(service: ServiceModel, flow: Flow): ServicePort | undefined {
  return service.ports.find(
    ({ port, protocol }) => port === flow.destination.port && protocol === flow.protocol,
  );
}

function noNode(service: ServiceModel): Outcome {
  return {
    kind: "rejected",
    reason: `no node can take connections of Service ${nameOf(service)}`,
    mend: `see the pods it selects: kubectl -n ${service.namespace} get endpointslices -l kubernetes.io/service-name=${service.name}`,
  };
}

/** @param holders Services with the address, also those that another load balancer serves */
function refused(flow: Flow, owners: readonly ServiceModel[], holders: readonly ServiceModel[]): Explanation {
  const { address, port } = flow.destination;
  const isBalancedHere = owners.length > 0;
  const step: Step = {
    hop: "1-load-balancer",
    component: isBalancedHere ? "load balancer" : "edge",
    action: isBalancedHere ? "refuse" : "route",
    from: flow.source.address,
    to: isBalancedHere ? endpointText(flow.destination) : "nobody",
    evaluated: owners.map((other) => ({
      what: `Service ${nameOf(other)}`,
      matched: false,
      why:
        portOf(other, flow) === undefined
          ? `has no port ${port}/${flow.protocol}`
          : "cannot speak the PROXY protocol there",
    })),
    rewrites: [],
    predicted: [],
  };
  const unproxied = owners.find((owner) => portOf(owner, flow) !== undefined);
  const why =
    unproxied !== undefined
      ? notProxied(flow, unproxied)
      : owners.length > 0
        ? portMissing(flow, owners)
        : notBalanced(address ?? "", holders);
  return result([step], { kind: "rejected", ...why });
}

interface Refusal {
  readonly reason: string;
  readonly mend: string;
}

function notProxied({ destination, protocol }: Flow, service: ServiceModel): Refusal {
  return {
    reason: `Service ${nameOf(service)} does not serve ${destination.port}/${protocol}: the PROXY protocol is for TCP ports with a node port`,
    mend: "give the port a node port, or put it into a Service of its own without the PROXY protocol",
  };
}

function portMissing({ destination, protocol }: Flow, owners: readonly ServiceModel[]): Refusal {
  const names = owners.map((owner) => `Service ${nameOf(owner)}`).join(" and ");
  const ports = owners.flatMap((owner) => owner.ports.map((known) => `${known.port}/${known.protocol}`));
  const has = owners.length > 1 ? "have" : "has";
  return {
    reason: `${names} ${has} no port ${destination.port}/${protocol} at ${destination.address}`,
    mend: `the ports there are ${ports.join(", ")}`,
  };
}

function notBalanced(address: string, [holder]: readonly ServiceModel[]): Refusal {
  if (holder === undefined) {
    return {
      reason: `no Service of type LoadBalancer has the address ${address}`,
      mend: "use an address that kubectl get services shows",
    };
  }
  return {
    reason: `Service ${nameOf(holder)} with ${address} is of the load balancer class ${holder.foreignClass}, which is not served here`,
    mend: "make it anew without spec.loadBalancerClass to have it served",
  };
}

function nameOf(service: ServiceModel): string {
  return `${service.namespace}/${service.name}`;
}

function result(steps: readonly Step[], outcome: Outcome): Explanation {
  return { steps, outcome, assumptions: [] };
}
