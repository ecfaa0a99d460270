/**
 * The network of a cluster without namespaces: it stands where the kernel of each node stands otherwise. Nodes claim the addresses of
 * Services; one listener serves all claims on an address and port, and each new connection is given to the node whose affair it is.
 */
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { createServer, type Server, type Socket } from "node:net";
import { inCidr, parseCidr } from "#lib/ip";
import { clusterEnd, endsOf, tcpListener, udpSocket } from "./sockets.ts";
import type { End, LoopbackMap } from "./loopback.ts";
import type { LoopbackPlace } from "./types.ts";

export interface ServiceEnd extends End {
  readonly protocol: "TCP" | "UDP";
}

/** What a node does with connections to an address that it has claimed. */
export interface Claim {
  /** A new TCP connection: paused, half-open allowed. */
  accept(socket: Socket, client: End): void;
  /** The first datagram of a client; undefined refuses the flow. */
  open(client: End, reply: (bytes: Uint8Array) => void, onEnd: () => void): DatagramFlow | undefined;
}

export interface DatagramFlow {
  send(bytes: Uint8Array): void;
  close(): void;
}

/** The node that a connection from outside goes to; undefined where no node can take it. */
export type Steering = (client: End) => string | undefined;

export interface LoopbackNetwork {
  readonly map: LoopbackMap;
  place(name: string, address: string): LoopbackPlace;
  /**
   * Claims an address and port for a node, until the returned function is called.
   * @throws InroadError with the errno's name when nobody can listen there (`EADDRINUSE`, `EADDRNOTAVAIL` ...).
   */
  claim(node: string, end: ServiceEnd, claim: Claim): () => void;
  /** Names the addresses for which connections from outside are steered to nodes (by `keyOf`); all others are not. */
  steer(by: ReadonlyMap<string, Steering>): void;
  /** The node that an address belongs to, its own or one of its pods'; undefined outside of the cluster. */
  nodeOf(address: string): string | undefined;
}

export interface LoopbackNode {
  readonly name: string;
  readonly address: string;
  readonly podCIDR: string;
}

interface Listener {
  readonly claims: Map<string, Claim>;
  close(): void;
}

/** `10.96.0.10 . udp . 53` */
export function keyOf({ address, protocol, port }: ServiceEnd): string {
  return `${address} . ${protocol.toLowerCase()} . ${port}`;
}

/** @param nodes those that there are now: nodes come and go */
export function createLoopbackNetwork(
  map: LoopbackMap,
  nodes: () => readonly LoopbackNode[],
): LoopbackNetwork {
  const listeners = new Map<string, Listener>();
  let steerings: ReadonlyMap<string, Steering> = new Map();

  const nodeOf = (address: string): string | undefined =>
    nodes().find((node) => node.address === address || inCidr(address, parseCidr(node.podCIDR)))?.name;

  /** Inside, a node decides for its own pods, as its rules would; node ports are the affair of the node that has them. */
  const claimFor = (end: ServiceEnd, client: End): Claim | undefined => {
    const claims = listeners.get(keyOf(end))?.claims ?? new Map<string, Claim>();
    const owner = nodes().find(({ address }) => address === end.address)?.name ?? nodeOf(client.address);
    if (owner !== undefined) return claims.get(owner);
    const steering = steerings.get(keyOf(end));
    return claims.get((steering === undefined ? nodes()[0]?.name : steering(client)) ?? "");
  };

  const listen = (end: ServiceEnd): Listener => {
    const place = { name: end.address, address: end.address, map };
    const choose = (client: End): Claim | undefined => claimFor(end, client);
    const close =
      end.protocol === "TCP" ? listenTcp(place, end.port, choose) : listenUdp(place, end.port, choose);
    return { claims: new Map(), close };
  };

  return {
    map,
    nodeOf,
    place: (name, address) => ({ name, address, map }),
    steer: (by) => void (steerings = by),
    claim(node, end, claim) {
      const key = keyOf(end);
      const listener = listeners.get(key) ?? listen(end);
      listeners.set(key, listener);
      listener.claims.set(node, claim);
      return () => {
        if (listener.claims.get(node) === claim) listener.claims.delete(node);
        if (listener.claims.size > 0 || listeners.get(key) !== listener) return;
        listeners.delete(key);
        listener.close();
      };
    },
  };
}

type Choose = (client: End) => Claim | undefined;

/** Connections that were accepted go on when the listener closes. */
function listenTcp(place: LoopbackPlace, port: number, choose: Choose): () => void {
  const server: Server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    const { remote } = endsOf(place, socket);
    const claim = choose(remote);
    if (claim === undefined) socket.resetAndDestroy();
    else claim.accept(socket, remote);
  });
  // Accepting fails when no descriptor is left; the listener goes on.
  server.on("error", () => undefined);
  server.listen({ fd: tcpListener(place, place.address, port) });
  return () => void server.close();
}

function listenUdp(place: LoopbackPlace, port: number, choose: Choose): () => void {
  const flows = new Map<string, DatagramFlow>();
  const socket: UdpSocket = createSocket("udp4");
  let open = true;
  socket.on("error", () => undefined);
  socket.on("message", (bytes, peer) => {
    // Port 0 cannot be answered.
    if (peer.port === 0) return;
    const key = `${peer.address}:${peer.port}`;
    const reply = (answer: Uint8Array): void => {
      if (open) socket.send(answer, peer.port, peer.address, () => undefined);
    };
    const client = clusterEnd(place, peer, "UDP");
    const flow = flows.get(key) ?? choose(client)?.open(client, reply, () => flows.delete(key));
    if (flow === undefined) return;
    flows.set(key, flow);
    flow.send(bytes);
  });
  socket.bind({ fd: udpSocket(place, place.address, port) });
  return () => {
    open = false;
    for (const flow of flows.values()) flow.close();
    socket.close();
  };
}
