/** What is asked of endpoints that do not seem to answer, and of which: the cluster's side of `silent.ts`. */
import { tcpConnect, type NetPlace } from "#kernel";
import { codeOf } from "#lib/errors";
import { afterRunning } from "#lib/running-time";
import { endpointKey, isolating, type Endpoint, type Snapshot } from "#model";
import type { End } from "./silent.ts";

/** Whether a TCP connection of the node is answered: accepted, or refused by somebody who is there. */
export function answers(
  netns: NetPlace | undefined,
  { address, port }: End,
  withinMs: number,
): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = tcpConnect(netns, address, port);
    const end = (answered: boolean): void => {
      cancelTimer();
      socket.destroy();
      resolve(answered);
    };
    const cancelTimer = afterRunning(withinMs, () => end(false));
    socket.on("connect", () => end(true));
    socket.on("error", (error) => end(codeOf(error) === "ECONNREFUSED" || codeOf(error) === "ECONNRESET"));
  });
}

/**
 * Whether the silence of an endpoint means something: NetworkPolicies of a pod on another node may keep back connections of
 * clients and of this node, though the pod serves others.
 */
export function mayAsk(snapshot: Snapshot, node: string, { address }: End): boolean {
  const pod = snapshot.podsByAddress.get(address);
  return pod === undefined || pod.node === node || isolating(snapshot, pod, "ingress").length === 0;
}

/** Keys of endpoints that are one of several of a Service, by the Services of a snapshot. */
const oneOfSeveral = new WeakMap<Snapshot["services"], ReadonlySet<string>>();

/** Whether this is one of several endpoints of a Service: only then connections could go elsewhere. */
export function hasOthers({ services }: Snapshot, endpoint: End): boolean {
  const keys =
    oneOfSeveral.get(services) ??
    new Set(
      portsWithSeveral(services)
        .flat()
        .map((end) => endpointKey(end)),
    );
  oneOfSeveral.set(services, keys);
  return keys.has(endpointKey(endpoint));
}

function portsWithSeveral(services: Snapshot["services"]): readonly (readonly Endpoint[])[] {
  const ports = [...services.values()].flatMap((service) => service.ports);
  return ports.map(({ endpoints }) => endpoints).filter((endpoints) => endpoints.length > 1);
}

/** The endpoints of nodes whose address is such, that have others beside them. */
export function endpointsOn(
  { nodes, services }: Snapshot,
  isSuch: (address: string) => boolean,
): readonly End[] {
  const names = new Set([...nodes.values()].filter(({ address }) => isSuch(address)).map(({ name }) => name));
  if (names.size === 0) return [];
  const found = portsWithSeveral(services)
    .flat()
    .filter(({ node }) => names.has(node ?? ""));
  return [...new Map(found.map((end) => [endpointKey(end), end])).values()];
}

/** Primary addresses of all nodes but one. */
export function addressesOfOthers({ nodes }: Snapshot, self: string): readonly string[] {
  return [...nodes.values()].filter(({ name }) => name !== self).map(({ address }) => address);
}
