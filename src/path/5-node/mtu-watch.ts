/** Keeps a node's MTU at what the paths to the other nodes really carry. */
import { ipBatch, type NetNs } from "#kernel";
import { messageOf } from "#lib/errors";
import { isIPv4 } from "#lib/ip";
import type { Log } from "#lib/log";
import { openEcho, type Echo } from "./echo.ts";
import { overlays, type RemoteNode } from "./overlay.ts";
import { leastPodMtu, measurePathMtu } from "./path-mtu.ts";
import type { Sandboxes } from "./sandboxes.ts";
import type { NodeNetworkSettings } from "./settings.ts";

/** What is known of the sizes of packets, in bytes. */
export interface NodeMtu {
  /** Of pod links and of the overlay. */
  readonly pods: number;
  /** What the underlay's devices promise. */
  readonly underlay: number;
  /** The node to which the path carries the least, if that is less than promised. */
  readonly narrowest?: { readonly node: string; readonly mtu: number };
}

export interface MtuWatch {
  current(): NodeMtu;
  /** Measures the paths to these nodes now, and changes devices and routes if need be. Never throws. */
  measure(remotes: readonly RemoteNode[]): Promise<void>;
  close(): void;
}

export function createMtuWatch(options: {
  readonly ns: NetNs;
  readonly sandboxes: Sandboxes;
  readonly settings: NodeNetworkSettings;
  readonly log: Log;
}): MtuWatch {
  const { ns, sandboxes, settings, log } = options;
  const { overhead } = overlays[settings.overlay];
  const underlay = settings.underlay.mtu;
  let now: NodeMtu = { pods: underlay - overhead, underlay };
  let echo: Echo | undefined;
  let closed = false;

  const measure = async (remotes: readonly RemoteNode[]): Promise<void> => {
    echo ??= openEcho(ns);
    const narrowest = await narrowestOf(echo, remotes, { least: leastPodMtu + overhead, most: underlay });
    if (narrowest === undefined) return;
    const pods = narrowest.mtu - overhead;
    const whole = narrowest.mtu === underlay;
    // While a path is narrow, nodes that join get their route's size by this, too.
    if (pods === now.pods && whole) return;
    await ipBatch(ns, overlays[settings.overlay].resize(pods, remotes));
    await sandboxes.resize(pods);
    const before = now;
    now = { pods, underlay, ...(whole ? {} : { narrowest }) };
    if (before.pods !== pods) log.warn(mtuText(now, ns.name));
  };

  return {
    current: () => now,
    measure: (remotes) =>
      measure(remotes).catch((error: unknown) => {
        if (!closed) log.warn(`path MTU of ${ns.name} not measured`, { reason: messageOf(error) });
      }),
    close() {
      closed = true;
      echo?.close();
    },
  };
}

/** In words what the paths of a node carry. */
export function mtuText({ pods, underlay, narrowest }: NodeMtu, node: string): string {
  return narrowest === undefined
    ? `paths from ${node} carry ${underlay} bytes as its devices promise: pods have MTU ${pods}`
    : `the path from ${node} to ${narrowest.node} carries ${narrowest.mtu} bytes, devices promise ${underlay}: pods have MTU ${pods}`;
}

/** The path that carries the least of those that carry anything. */
async function narrowestOf(
  echo: Echo,
  remotes: readonly RemoteNode[],
  limits: Parameters<typeof measurePathMtu>[1],
): Promise<{ readonly node: string; readonly mtu: number } | undefined> {
  const measured = await Promise.all(
    remotes.map(async ({ name, addresses }) => {
      const address = addresses.find(isIPv4);
      if (address === undefined) return [];
      const mtu = await measurePathMtu((size) => echo.crosses(address, size), limits);
      return mtu === undefined ? [] : [{ node: name, mtu }];
    }),
  );
  return measured.flat().toSorted((a, b) => a.mtu - b.mtu)[0];
}
