/** Sockets that are bound to the image of a cluster address, and what is done where another program of the host is in the way. */
import { randomInt } from "node:crypto";
import { closeSync } from "node:fs";
import { codeOf } from "#lib/errors";
import { openSocket } from "./libc.ts";
import { imageOf, imagePort, listenAddress, spareImage } from "./loopback.ts";
import type { LoopbackMap, Transport } from "./loopback.ts";
import { setPort } from "./port-table.ts";
import type { LoopbackPlace } from "./types.ts";

const TRIES = 32;
/** Free ports are looked for below the ephemeral ones. */
const [LOWEST, HIGHEST] = [10_000, 32_000];

/**
 * Opens a socket at the image of a place's address. Where a program of the host has the port on all addresses, it takes a
 * free one and tells the map, so that all who connect find it. A port of 0 lets the kernel choose.
 * @throws InroadError with the errno's name; `EADDRINUSE` when this very address is taken
 */
export function openAtImage(
  transport: Transport,
  place: LoopbackPlace,
  { address, port, backlog }: { readonly address: string; readonly port: number; readonly backlog?: number },
): number {
  const wanted = listenAddress(place, address);
  const image = imageOf(place.map, wanted) ?? wanted;
  const open = (at: number): number =>
    openSocket(transport === "TCP" ? "tcp" : "udp", 4, {
      bind: { address: image, port: at },
      ...(backlog === undefined ? {} : { backlog }),
    });
  const { ports } = place.map;
  try {
    const fd = open(imagePort(place.map, port));
    if (ports !== undefined) setPort(ports[transport], wanted, port, port);
    return fd;
  } catch (error) {
    const at = imagePort(place.map, port);
    if (ports === undefined || codeOf(error) !== "EADDRINUSE" || !isTakenOnAll(transport, place.map, at))
      throw error;
    const [fd, free] = openAtFree(open, error);
    setPort(ports[transport], wanted, port, free);
    return fd;
  }
}

function openAtFree(open: (port: number) => number, reason: unknown): [fd: number, port: number] {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const port = randomInt(LOWEST, HIGHEST);
    try {
      return [open(port), port];
    } catch (error) {
      if (codeOf(error) !== "EADDRINUSE") throw error;
    }
  }
  throw reason;
}

/** Whether a port is taken on all addresses, also on one that no place has: the last one of the cluster's room. */
function isTakenOnAll(transport: Transport, map: LoopbackMap, port: number): boolean {
  try {
    const bind = { address: spareImage(map), port };
    closeSync(
      transport === "TCP" ? openSocket("tcp", 4, { bind, backlog: 1 }) : openSocket("udp", 4, { bind }),
    );
    return false;
  } catch (error) {
    return codeOf(error) === "EADDRINUSE";
  }
}
