/** One node's part in announcing: asks all nodes for their health, and answers on a device for the addresses that fall to this one. */
import { networkInterfaces } from "node:os";
import { openLink, tcpConnect, tcpListener, type Link } from "#kernel";
import { InroadError, codeOf, messageOf } from "#lib/errors";
import { familyOf } from "#lib/ip";
import type { Log } from "#lib/log";
import type { NodeModel, SnapshotSource } from "#model";
import { solicitedNode } from "#wire/ndp";
import { systemClock } from "#lib/running-time";
import { createHealthChecker } from "../health.ts";
import { createAnnounceMetrics } from "./metrics.ts";
import { startPeerPort } from "./peer-port.ts";
import { planAnnouncements } from "./plan.ts";
import type { Announcement, AnnounceOptions } from "./plan.ts";
import { createResponder } from "./responder.ts";

export interface AnnouncingOptions extends AnnounceOptions {
  /** Has listed everything already. */
  readonly source: SnapshotSource;
  /** The network device to answer on; if not said, the one that has the node's address. */
  readonly device?: string;
  readonly log: Log;
}

export interface Announcing {
  readonly device: string;
  /** Lets other nodes take over while it still answers, for 0.6 s at most; then it is silent. */
  close(): Promise<void>;
}

/** Two questions in a row, 200 ms apart, unanswered for so long, and another node takes over: 0.6 s after the last answer at the latest. */
const CHECK_TIMEOUT_MS = 200;
/** A node that says itself that it is going is believed the second time, after 0.4 s. */
const HANDOVER_MS = 600;
const LOOK_MS = 10;
/**
 * A device that comes up is not relied upon before: until then others may seem dead that are not, for a neighbour that was not
 * found is looked for once a second (RFC 4861, RETRANS_TIMER).
 */
const SETTLE_MS = 2000;

/**
 * Begins to announce, in this thread's network namespace.
 * @throws InroadError `UnknownNode`, `NoSuchDevice`, `EADDRINUSE` (the peer port), `EPERM` (no CAP_NET_RAW)
 */
export function startAnnouncing(options: AnnouncingOptions): Announcing {
  const { source, node, log, peerPort } = options;
  const { address } = ownNode(options);
  const device = options.device ?? deviceWith(address);
  const fd = listen(address, peerPort);
  const link = openLink(device, (frame) => responder.receive(frame));
  const metrics = createAnnounceMetrics(() => responder.held());
  let leaving = false;
  const responder = createResponder({
    mac: link.mac,
    clock: systemClock,
    send: link.send,
    count: metrics.count,
    onClaim(claimed, mac) {
      // Whoever takes over says so; then there is nothing left to do for it here.
      if (leaving) responder.release(claimed);
      else log.warn(`another machine claims ${claimed}: normal while nodes change, else a conflict`, { mac });
    },
  });
  let downAt = -Infinity;
  /** Whether the device is up, and for long enough to have found the others again. */
  const hasDevice = (): boolean => {
    if (!link.isUp()) downAt = systemClock.now();
    return systemClock.now() - downAt >= SETTLE_MS;
  };
  const closePort = startPeerPort({
    fd,
    problem: () => (leaving ? "leaving" : hasDevice() ? undefined : `${device} is down, or was just now`),
    metrics: metrics.text,
  });
  const replan = (): void => {
    const { announcements, targets } = planAnnouncements(source.current(), checker.healthOf, options);
    checker.watch(targets);
    const own = hasDevice() ? announcements.filter(({ announcer }) => announcer === node) : [];
    logChange(responder.held(), own, log);
    joinGroups(link, own, log);
    responder.hold(new Map(own.map((one) => [one.address, one.eligible.join(" ")])));
  };
  const checker = createHealthChecker({
    dial: (to, port) => tcpConnect(undefined, to, port),
    onChange: replan,
    timeoutMs: CHECK_TIMEOUT_MS,
  });
  replan();
  const unsubscribe = source.subscribe(replan);
  return {
    device,
    async close() {
      leaving = true;
      unsubscribe();
      checker.close();
      await untilEmpty(responder.held);
      responder.hold(new Map());
      closePort();
      await link.close();
    },
  };
}

function ownNode({ source, node }: AnnouncingOptions): NodeModel {
  const { nodes } = source.current();
  const own = nodes.get(node);
  if (own !== undefined) return own;
  throw new InroadError("UnknownNode", `the cluster has no routable node ${node}`, {
    mend: `name this node's Node object: --node NAME; there are ${[...nodes.keys()].join(", ") || "none"} (a node needs an IPv4 InternalIP and spec.podCIDR)`,
  });
}

function listen(address: string, port: number): number {
  try {
    return tcpListener(undefined, address, port);
  } catch (error) {
    throw new InroadError(codeOf(error) ?? "ListenFailed", messageOf(error), {
      mend: "end the one that runs here already, or name another port, the same on all nodes: --peer-port PORT",
      cause: error,
    });
  }
}

function deviceWith(address: string): string {
  const [found] = Object.entries(networkInterfaces()).filter(([, all]) =>
    all?.some((one) => one.address === address),
  );
  if (found !== undefined) return found[0];
  throw new InroadError(
    "NoSuchDevice",
    `no network device of this machine has the node's address ${address}`,
    {
      mend: "run it on the node itself, in the host's network, or name the device: --interface NAME",
    },
  );
}

function logChange(held: readonly string[], own: readonly Announcement[], log: Log): void {
  const wanted = new Set(own.map(({ address }) => address));
  for (const address of held) if (!wanted.has(address)) log.info(`gives up ${address}`);
  for (const { address, services } of own)
    if (!held.includes(address)) log.info(`announces ${address}`, { services });
}

/** Questions about an IPv6 address come to a group that the device must listen to. */
function joinGroups(link: Link, own: readonly Announcement[], log: Log): void {
  const addresses = own.map(({ address }) => address).filter((address) => familyOf(address) === "IPv6");
  try {
    link.join(new Set(addresses.map(solicitedNode)));
  } catch (error) {
    log.error(`questions about ${addresses.join(", ")} may not arrive: ${messageOf(error)}`);
  }
}

/** Waits until nothing is held, but no longer than a change of nodes takes. */
async function untilEmpty(held: () => readonly string[]): Promise<void> {
  const end = systemClock.now() + HANDOVER_MS;
  while (held().length > 0 && systemClock.now() < end)
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
}
