/** Finds the evidence that belongs to one connection: its conntrack entries and the answers to its questions. */
import { withPort } from "#lib/ip";
import { endpointText } from "#model";
import type { Alternative, Flow, Snapshot } from "#model";
import type { Here, Pick } from "#path";
import type { DeniedConnection, Observations, TrackedConnection, Tuple } from "./types.ts";

/** Who keeps the account of connections: `conntrack`, or `proxy record` where the proxy passes them on itself. */
export function keeperOf({ keptBy = "conntrack" }: Observations): string {
  return keptBy;
}

/** What a node's connection tracking says of a flow. */
export type Tracked =
  | { readonly kind: "entry"; readonly entry: TrackedConnection }
  /** The node was asked, and it has not seen this connection. */
  | { readonly kind: "none" }
  | { readonly kind: "missing"; readonly why: string };

/** The entry of a flow's connection on a node. It is found by both ends with ports, so it is no other connection's. */
export function trackedAt(observations: Observations, node: string, flow: Flow): Tracked {
  const read = observations.conntrack?.find((given) => given.node === node);
  if (read === undefined)
    return { kind: "missing", why: `${keeperOf(observations)} of ${node} was not read` };
  const sources = sourcesOf(observations, flow);
  if (sources.length === 0) {
    return { kind: "missing", why: `no record tells from which port ${flow.source.address} came` };
  }
  const { address, port } = flow.destination;
  const isSource = (end: string, endPort: number): boolean =>
    sources.some((source) => source.address === end && source.port === endPort);
  const leadsTo = (end: string, endPort: number): boolean => end === address && endPort === port;
  const entry = read.entries.find(
    ({ protocol, original, reply }) =>
      protocol.toUpperCase() === flow.protocol &&
      isSource(original.source, original.sourcePort) &&
      (leadsTo(original.destination, original.destinationPort) || leadsTo(reply.source, reply.sourcePort)),
  );
  return entry === undefined ? { kind: "none" } : { kind: "entry", entry };
}

/** What a node's policies say of a flow. */
export type Denied =
  /** They kept it back. */
  | { readonly kind: "entry"; readonly entry: DeniedConnection }
  /** They did not. */
  | { readonly kind: "none" }
  | { readonly kind: "missing"; readonly why: string };

/** What a node's policies kept back of a flow with this destination, found by both ends with ports. */
export function deniedAt(observations: Observations, node: string, flow: Flow): Denied {
  const read = observations.denied?.find((given) => given.node === node);
  if (read === undefined) return { kind: "missing", why: `what policies keep back on ${node} was not read` };
  const { masqueraded = flow.source.address } = flow.source;
  const sources = sourcesOf(observations, { ...flow, source: { ...flow.source, address: masqueraded } });
  if (sources.length === 0) {
    return { kind: "missing", why: `no record tells from which port ${masqueraded} came` };
  }
  const entry = read.entries.find(
    ({ protocol, source, sourcePort, destination, destinationPort }) =>
      protocol.toUpperCase() === flow.protocol &&
      destination === flow.destination.address &&
      destinationPort === flow.destination.port &&
      sources.some((end) => end.address === source && end.port === sourcePort),
  );
  return entry === undefined ? { kind: "none" } : { kind: "entry", entry };
}

interface End {
  readonly address: string;
  readonly port: number;
}

/**
 * The ends that a flow's packets may come from: the client's or the ingress pod's, and those that a node masqueraded
 * them with. A flow that is masqueraded already comes from a node's address, which is neither.
 */
export function sourcesOf(observations: Observations, { source }: Flow): readonly End[] {
  const { address, port } = source;
  const { client } = observations.client ?? {};
  const { upstream } = observations.ingress ?? {};
  const known = [
    ...(client === undefined ? [] : [client]),
    ...(upstream === undefined ? [] : [{ address: upstream.localAddress, port: upstream.localPort }]),
  ];
  const direct = port === undefined ? known.filter((end) => end.address === address) : [{ address, port }];
  const origins = direct.length > 0 ? direct : known;
  const masqueraded = (observations.conntrack ?? [])
    .flatMap((read) => read.entries)
    .filter(({ original: { source: from, sourcePort }, reply }) => {
      const own = origins.some((end) => end.address === from && end.port === sourcePort);
      return own && (reply.destination !== from || reply.destinationPort !== sourcePort);
    })
    .map(({ reply }) => ({ address: reply.destination, port: reply.destinationPort }));
  return direct.length === 0 && masqueraded.length > 0
    ? [...masqueraded, ...origins]
    : [...direct, ...masqueraded];
}

/** Where a tracked connection really went: the end that its replies come from. */
export function wentTo({ original, reply }: TrackedConnection): string {
  const same = reply.source === original.destination && reply.sourcePort === original.destinationPort;
  return same ? "not translated" : withPort(reply.source, reply.sourcePort);
}

/** `tcp 10.244.0.3:41234 -> 10.96.1.1:80, reply 10.244.1.5:8080 -> 10.244.0.3:41234` */
export function trackedText({ protocol, state, original, reply }: TrackedConnection): string {
  return `${protocol}${state === undefined ? "" : ` ${state}`} ${tupleText(original)}, reply ${tupleText(reply)}`;
}

/** `10.244.1.5:8080 -> 10.244.0.3:41234` */
export function tupleText(tuple: Tuple): string {
  return `${withPort(tuple.source, tuple.sourcePort)} -> ${withPort(tuple.destination, tuple.destinationPort)}`;
}

/** The address that a name was resolved to, by the client or, behind the ingress, by the ingress. */
export function resolvedTo(observations: Observations, flow: Flow): string | undefined {
  const { ingress, client } = observations;
  if (ingress?.dns !== undefined && sameName(ingress.dns.name, flow.destination.name))
    return ingress.dns.address;
  if (client?.client !== undefined && client.client.address !== flow.source.address) return undefined;
  const addresses =
    client?.dns?.records.flatMap(({ address }) => (address === undefined ? [] : [address])) ?? [];
  return addresses.find((address) => address === client?.server?.address) ?? addresses[0];
}

function sameName(a: string, b: string | undefined): boolean {
  return b !== undefined && plainName(a) === plainName(b);
}

function plainName(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}

/** Chooses, where a hop balances, what this one request really did; the first alternative where nothing was seen. */
export function followEvidence(snapshot: Snapshot, observations: Observations): Pick {
  return (alternatives, _step, here) =>
    Math.max(
      0,
      alternatives.findIndex((alternative) => wasTaken(snapshot, observations, here, alternative)),
    );
}

function wasTaken(
  snapshot: Snapshot,
  observations: Observations,
  { place, flow }: Here,
  { place: next, flow: after }: Alternative,
): boolean {
  if (place.at === "public-dns" || place.at === "cluster-dns") {
    return resolvedTo(observations, flow) === after.destination.address;
  }
  if (place.at === "edge") {
    if (!("node" in next)) return false;
    const balanced = trackedAt(observations, "edge", flow);
    if (balanced.kind === "entry" && balanced.entry.toNode !== undefined) {
      return balanced.entry.toNode === next.node;
    }
    const tracked = trackedAt(observations, next.node, flow);
    return tracked.kind === "missing"
      ? next.node === ingressPod(snapshot, observations)?.node
      : tracked.kind === "entry";
  }
  if (place.at !== "proxy") return false;
  const end = endpointText(after.destination);
  const tracked = trackedAt(observations, place.node, flow);
  if (tracked.kind === "entry") return wentTo(tracked.entry) === end;
  if (deniedAt(observations, place.node, after).kind === "entry") return true;
  return (
    place.from === "outside" && after.destination.address === ingressPod(snapshot, observations)?.address
  );
}

function ingressPod(snapshot: Snapshot, { ingress }: Observations) {
  return ingress && snapshot.pods.get(`${ingress.pod.namespace}/${ingress.pod.name}`);
}
