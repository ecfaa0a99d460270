/** The connections and flows that go through the proxy of one node: made, counted, recorded, ended. */
import { readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { endsOf, imageOf, reachEnd, tcpConnect, udpSocket } from "#kernel";
import type { DatagramFlow, End, LoopbackPlace, Tuple } from "#kernel";
import { messageOf } from "#lib/errors";
import type { Log } from "#lib/log";
import { relay } from "#lib/relay";
import type { VirtualAddress } from "../plan.ts";
import { backendKey } from "../rotation.ts";
import type { Waiting } from "../silent.ts";
import type { Backend } from "../rotation.ts";
import type { Records } from "./records.ts";
import type { Turns } from "./turns.ts";
import { openFlow } from "./udp.ts";

export interface ConnectionOptions {
  /** The node's own place: masqueraded connections come from it. */
  readonly place: LoopbackPlace;
  readonly records: Records;
  readonly log: Log;
  /** Connections and flows at one time; by the descriptors of this process if not given. */
  readonly limit?: number;
  /** Milliseconds that an idle UDP flow lives. */
  readonly idleMs?: number;
}

/** A client that may be sent to a list of endpoints. */
export interface Admitted {
  readonly client: End;
  readonly at: VirtualAddress;
  readonly turns: Turns;
  /** The address that an endpoint is to see. */
  readonly sourceTo: (endpoint: string) => string;
}

export interface Connections {
  readonly isFull: () => boolean;
  /** TCP connections whose endpoint has not answered yet. */
  readonly waiting: () => readonly Waiting[];
  accept(socket: Socket, admitted: Admitted): void;
  open(admitted: Admitted, reply: (bytes: Uint8Array) => void, onEnd: () => void): DatagramFlow | undefined;
  /** Ends the flows whose endpoint is no more one of its address: `isCurrent` says which are. */
  endFlows(isCurrent: (at: VirtualAddress, backend: Backend) => boolean): void;
}

interface Flow extends DatagramFlow {
  readonly at: VirtualAddress;
  readonly backend: Backend;
}

export function createConnections(options: ConnectionOptions): Connections {
  const { place, records, log, limit = connectionLimit() } = options;
  const flows = new Set<Flow>();
  const waiting = new Set<Waiting>();
  let open = 0;

  const dial = (admitted: Admitted, endpoint: Backend): Socket => {
    const source = admitted.sourceTo(endpoint.address);
    const socket = tcpConnect(place, endpoint.address, endpoint.port, {
      address: source,
      allowHalfOpen: true,
    });
    const one = { original: originalOf(admitted), endpoint };
    waiting.add(one);
    for (const event of ["connect", "close"]) socket.once(event, () => waiting.delete(one));
    return socket;
  };

  const record = (admitted: Admitted, { address, port }: Backend, near: End): (() => void) =>
    records.add({
      protocol: admitted.at.protocol === "UDP" ? "udp" : "tcp",
      original: originalOf(admitted),
      reply: { source: address, sourcePort: port, destination: near.address, destinationPort: near.port },
    });

  const openTo = (
    admitted: Admitted,
    backend: Backend,
    { reply, onEnd }: { reply: (bytes: Uint8Array) => void; onEnd: () => void },
  ): Flow => {
    const { client, at, turns, sourceTo } = admitted;
    const wanted = sourceTo(backend.address);
    // A program of the host has no address of the cluster to come from.
    const source = imageOf(place.map, wanted) === undefined ? place.address : wanted;
    const to = reachEnd(place, backend.address, backend.port, "UDP");
    const fd = to.own ? udpSocket({ ...place, address: source }, "0.0.0.0", 0) : undefined;
    const ends = [turns.opened(client.address, backend, performance.now()), onEnd];
    open += 1;
    const flow: Flow = {
      at,
      backend,
      ...openFlow({
        fd,
        to,
        reply,
        opened: (port) => ends.push(record(admitted, backend, { address: source, port })),
        ended: () => {
          open -= 1;
          flows.delete(flow);
          for (const end of ends) end();
        },
        ...(options.idleMs === undefined ? {} : { idleMs: options.idleMs }),
      }),
    };
    flows.add(flow);
    return flow;
  };

  return {
    isFull: () => open >= limit,
    waiting: () => [...waiting],
    accept(socket, admitted) {
      const { client, at, turns } = admitted;
      const endpoints = turns.take(client.address, performance.now());
      const count = (backend: Backend | undefined): (() => void) =>
        backend === undefined ? noEnd : turns.opened(client.address, backend, performance.now());
      // From now on, or connections of the same moment would all find the same endpoint idle.
      let uncount = count(endpoints[0]);
      let close = noEnd;
      open += 1;
      void relay(socket, {
        ends: endpoints,
        dial: (endpoint) => dial(admitted, endpoint),
        connected(backend, upstream, tried) {
          close = record(admitted, backend, endsOf(place, upstream).local);
          if (tried === 1) return;
          uncount();
          uncount = count(backend);
          log.warn(`${at.servicePort}: ${tried - 1} endpoint(s) did not accept`);
        },
        ended: () => {
          open -= 1;
          uncount();
          close();
        },
      });
    },
    open(admitted, reply, onEnd) {
      const [backend] = admitted.turns.take(admitted.client.address, performance.now());
      if (backend === undefined) return undefined;
      try {
        return openTo(admitted, backend, { reply, onEnd });
      } catch (error) {
        log.warn(`no flow to ${backendKey(backend)}: ${messageOf(error)}`);
        return undefined;
      }
    },
    endFlows(isCurrent) {
      for (const flow of flows) if (!isCurrent(flow.at, flow.backend)) flow.close();
    },
  };
}

const noEnd = (): void => undefined;

function originalOf({ client, at }: Admitted): Tuple {
  return {
    source: client.address,
    sourcePort: client.port,
    destination: at.address,
    destinationPort: at.port,
  };
}

/** Two descriptors for each connection, and a quarter of what the process may have stays for all else. */
function connectionLimit(): number {
  try {
    const [, files] = /^Max open files +(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
    return Math.floor((Number(files ?? 1024) * 3) / 8);
  } catch {
    return 384;
  }
}
