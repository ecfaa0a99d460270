/**
 * Answers for addresses on a link, as if the device had them: ARP (RFC 826, 5227) and Neighbour Discovery (RFC 4861). Frames
 * in, frames out; no socket in sight.
 */
import { familyOf } from "#lib/ip";
import { arpAnnouncements, decodeArp, encodeArp } from "#wire/arp";
import { decodeNeighbour, encodeAdvertisement } from "#wire/ndp";
import type { Clock } from "#lib/running-time";

export interface ResponderOptions {
  /** The device's address, which frames for the held addresses shall be sent to. */
  readonly mac: string;
  readonly send: (frame: Uint8Array) => void;
  readonly clock: Clock;
  /** Another machine says that a held address is its own. */
  readonly onClaim: (address: string, mac: string) => void;
  readonly count: (what: "request" | "answer" | "announcement", address: string) => void;
}

export interface Responder {
  /**
   * Answers for exactly these addresses from now on. New ones are announced to everybody on the link, and those whose
   * term (any text) is another than before.
   */
  hold(terms: ReadonlyMap<string, string>): void;
  /** Gives one address up. */
  release(address: string): void;
  readonly held: () => readonly string[];
  /** A frame that has arrived. */
  receive(frame: Uint8Array): void;
}

/** Pauses between the announcements of an address, milliseconds: the first may be lost, and so may all within a second. */
const PAUSES_MS = [100, 400, 1500, 2000] as const;
/** So long after somebody else's claim ours is announced again; by then a mistaken one has given it up. */
const DEFEND_AFTER_MS = 1000;
/** No address is defended more often: two that both insist must not fill the link (RFC 5227, 2.4). */
const DEFEND_INTERVAL_MS = 10_000;

interface Held {
  readonly term: string;
  stop: () => void;
  defendedAt: number;
}

export function createResponder(options: ResponderOptions): Responder {
  const { mac, send, clock, onClaim, count } = options;
  const held = new Map<string, Held>();

  const announce = (address: string, entry: Held, round = 0): void => {
    for (const frame of announcements(mac, address)) send(frame);
    count("announcement", address);
    const pause = PAUSES_MS[round];
    if (pause !== undefined) entry.stop = clock.after(pause, () => announce(address, entry, round + 1));
  };
  const release = (address: string): void => {
    held.get(address)?.stop();
    held.delete(address);
  };
  const claimed = (address: string, claimant: string): void => {
    const entry = held.get(address);
    if (entry === undefined || claimant === mac) return;
    if (clock.now() - entry.defendedAt >= DEFEND_INTERVAL_MS) {
      entry.defendedAt = clock.now();
      entry.stop();
      entry.stop = clock.after(DEFEND_AFTER_MS, () => announce(address, entry));
    }
    onClaim(address, claimant);
  };
  const answer = (address: string, frame: () => Uint8Array): void => {
    if (!held.has(address)) return;
    count("request", address);
    send(frame());
    count("answer", address);
  };
  const receiveArp = (message: NonNullable<ReturnType<typeof decodeArp>>): void => {
    const { operation, senderMac, senderAddress, targetAddress } = message;
    if (senderMac === mac) return;
    claimed(senderAddress, senderMac);
    if (operation !== "request" || senderAddress === targetAddress) return;
    const reply = { operation: "reply", senderMac: mac, senderAddress: targetAddress } as const;
    answer(targetAddress, () =>
      encodeArp({ ...reply, targetMac: senderMac, targetAddress: senderAddress }, senderMac),
    );
  };
  const receiveNeighbour = (message: NonNullable<ReturnType<typeof decodeNeighbour>>): void => {
    if (message.mac === mac) return;
    const { source, target } = message;
    if (message.kind === "advertisement") claimed(target, message.mac);
    else
      answer(target, () => encodeAdvertisement({ mac, target, to: { address: source, mac: message.mac } }));
  };

  return {
    hold(terms) {
      for (const address of held.keys()) if (!terms.has(address)) release(address);
      for (const [address, term] of terms) {
        const known = held.get(address);
        if (known?.term === term) continue;
        known?.stop();
        const entry: Held = { term, stop: () => undefined, defendedAt: known?.defendedAt ?? -Infinity };
        held.set(address, entry);
        announce(address, entry);
      }
    },
    release,
    held: () => [...held.keys()],
    receive(frame) {
      const arp = decodeArp(frame);
      if (arp !== undefined) receiveArp(arp);
      const neighbour = arp === undefined ? decodeNeighbour(frame) : undefined;
      if (neighbour !== undefined) receiveNeighbour(neighbour);
    },
  };
}

function announcements(mac: string, address: string): readonly Uint8Array[] {
  return familyOf(address) === "IPv4"
    ? arpAnnouncements(mac, address)
    : [encodeAdvertisement({ mac, target: address })];
}
