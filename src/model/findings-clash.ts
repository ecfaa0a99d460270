/** Addresses and networks that two objects claim. Each of them is valid by itself, so nobody refuses it. */
import type { KubeObject } from "#kube";
import { isInside, nested } from "#lib/ip";
import { perObject } from "./memo.ts";
import type { Finding, NodeModel, PodModel, ServiceModel } from "./types.ts";

/** Nodes with one address, and pod networks that overlap each other. */
export const nodeClashes = perObject((nodes: ReadonlyMap<string, NodeModel>): readonly Finding[] => [
  ...sharedNodeAddresses(nodes),
  ...overlappingPodNetworks(nodes),
]);

function sharedNodeAddresses(nodes: ReadonlyMap<string, NodeModel>): Finding[] {
  const owners = new Map<string, string>();
  return [...nodes.values()].flatMap(({ name, addresses }) =>
    addresses.flatMap((address) => {
      const owner = owners.get(address);
      if (owner === undefined) owners.set(address, name);
      return owner === undefined
        ? []
        : nodeFinding(name, "NodeAddressTaken", {
            field: "status.addresses",
            message: `InternalIP ${address} is node ${owner}'s, too`,
            mend: "give every node an address of its own",
          });
    }),
  );
}

function overlappingPodNetworks(nodes: ReadonlyMap<string, NodeModel>): Finding[] {
  const networks = nested(
    [...nodes.values()].flatMap(({ name, podCIDRs }) => podCIDRs.map((cidr) => ({ name, cidr }))),
  );
  let widest = networks[0];
  return networks.slice(1).flatMap((network) => {
    if (widest === undefined || !isInside(network.address, widest.cidr)) {
      widest = network;
      return [];
    }
    return nodeFinding(network.name, "PodNetworksOverlap", {
      field: "spec.podCIDRs",
      message: `pod network ${network.cidr} overlaps ${widest.cidr} of node ${widest.name}: pods there may not be reached`,
      mend: "give every node a pod network of its own; spec.podCIDR is fixed, so delete the Node and register it anew",
    });
  });
}

/** Pod networks that overlap the ranges of Service addresses. */
export function rangeClashes(
  nodes: ReadonlyMap<string, NodeModel>,
  serviceCIDRs: readonly string[],
): readonly Finding[] {
  return [...nodes.values()].flatMap(({ name, podCIDRs }) =>
    podCIDRs.flatMap((cidr) => {
      const range = serviceCIDRs.find((other) => overlap(cidr, other));
      return range === undefined
        ? []
        : nodeFinding(name, "PodNetworkInServiceRange", {
            field: "spec.podCIDRs",
            message: `pod network ${cidr} overlaps the Service range ${range}: an address in both may be a pod or a Service`,
            mend: "use a Service range (ServiceCIDR) or a pod network apart from the other",
          });
    }),
  );
}

function overlap(a: string, b: string): boolean {
  return isInside(addressOf(a), b) || isInside(addressOf(b), a);
}

function addressOf(cidr: string): string {
  return cidr.slice(0, cidr.indexOf("/"));
}

function nodeFinding(
  name: string,
  code: string,
  text: Required<Pick<Finding, "field" | "message" | "mend">>,
): Finding {
  return { code, severity: "warning", object: { kind: "Node", name }, ...text, affectsRouting: true };
}

/** A pod whose address another one has, too; both live. */
export function podClash({ namespace, name }: PodModel, address: string, owner: PodModel): Finding {
  return {
    code: "PodAddressTaken",
    severity: "warning",
    object: { kind: "Pod", namespace, name },
    field: "status.podIP",
    message: `address ${address} is pod ${owner.namespace}/${owner.name}'s, too: either may answer`,
    mend: "delete one of the pods; if it comes again, two nodes hand out the same pod network",
    affectsRouting: true,
  };
}

/** By list of Services: what follows from these alone. */
const known = new WeakMap<readonly KubeObject[], readonly Finding[]>();

/**
 * Services that claim an address and port, or a node port, which another one has. The first by name has it, as in the rules of
 * the nodes.
 * @param services the models of `objects`, in the order of their names
 */
export function serviceClashes(
  objects: readonly KubeObject[],
  services: ReadonlyMap<string, ServiceModel>,
): readonly Finding[] {
  const found = known.get(objects) ?? claimedTwice(services);
  known.set(objects, found);
  return found;
}

function claimedTwice(services: ReadonlyMap<string, ServiceModel>): readonly Finding[] {
  const owners = new Map<string, ServiceModel>();
  return [...services.values()].flatMap((service) =>
    claimsOf(service).flatMap((claim) => {
      const owner = owners.get(claim);
      if (owner === undefined) owners.set(claim, service);
      return owner === undefined || owner === service ? [] : taken(service, claim, owner);
    }),
  );
}

/** `10.96.0.7:80/TCP`, `node port 30080/TCP`. */
function claimsOf({ clusterIPs, loadBalancerIPs, ports }: ServiceModel): string[] {
  return ports.flatMap(({ port, nodePort, protocol }) => [
    ...[...clusterIPs, ...loadBalancerIPs].map((address) => `${address}:${port}/${protocol}`),
    ...(nodePort === undefined ? [] : [`node port ${nodePort}/${protocol}`]),
  ]);
}

function taken({ namespace, name }: ServiceModel, claim: string, owner: ServiceModel): Finding {
  return {
    code: "AddressTaken",
    severity: "warning",
    object: { kind: "Service", namespace, name },
    affects: [{ kind: "Service", namespace: owner.namespace, name: owner.name }],
    message: `${claim} is Service ${owner.namespace}/${owner.name}'s: connections to it go there`,
    mend: "give one of the Services another address or port",
    affectsRouting: false,
  };
}
