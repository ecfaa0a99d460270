/** Who asks how much, and how much of it for nothing: `ndots:5` makes clients ask for names that cannot exist. */
import type { Snapshot } from "#model";
import { rcodes } from "#wire/dns";

/** Clients kept at most; the one that has been there longest goes first. */
const MAX_CLIENTS = 4096;

interface Counts {
  queries: number;
  nxdomain: number;
  servfail: number;
}

/** One client's share since the server began, or since it was forgotten. */
interface ClientAccount extends Readonly<Counts> {
  readonly address: string;
  /** `namespace/name`, where the snapshot knows pods. */
  readonly pod?: string;
  /** Its share of all NXDOMAIN answers, 0 to 1. */
  readonly nxdomainShare: number;
  /** What to do about it, where most of its queries are for nothing. */
  readonly advice?: string;
}

export interface Account {
  count(address: string, rcode: number): void;
  /** Those with the most NXDOMAIN first, at most `limit` of them. */
  list(snapshot: Snapshot, limit: number): readonly ClientAccount[];
}

export function createAccount(maxClients: number = MAX_CLIENTS): Account {
  const clients = new Map<string, Counts>();
  let nxdomains = 0;

  const countsOf = (address: string): Counts => {
    const known = clients.get(address);
    if (known !== undefined) return known;
    const [oldest] = clients.size >= maxClients ? clients.keys() : [];
    if (oldest !== undefined) clients.delete(oldest);
    const counts = { queries: 0, nxdomain: 0, servfail: 0 };
    clients.set(address, counts);
    return counts;
  };

  return {
    count(address, rcode) {
      const counts = countsOf(address);
      counts.queries += 1;
      if (rcode === rcodes.NXDOMAIN) {
        counts.nxdomain += 1;
        nxdomains += 1;
      } else if (rcode === rcodes.SERVFAIL) counts.servfail += 1;
    },
    list: (snapshot, limit) =>
      [...clients]
        .sort(([, a], [, b]) => b.nxdomain - a.nxdomain || b.queries - a.queries)
        .slice(0, limit)
        .map(([address, counts]) => describe(address, counts, nxdomains, snapshot)),
  };
}

function describe(address: string, counts: Counts, nxdomains: number, snapshot: Snapshot): ClientAccount {
  const pod = snapshot.podsByAddress.get(address);
  // Three of four names of the default search list do not exist; fewer queries than that prove nothing.
  const wasteful = counts.queries >= 20 && counts.nxdomain / counts.queries > 0.5;
  return {
    address,
    ...(pod === undefined ? {} : { pod: `${pod.namespace}/${pod.name}` }),
    ...counts,
    nxdomainShare: nxdomains === 0 ? 0 : counts.nxdomain / nxdomains,
    ...(wasteful
      ? {
          advice:
            "most of its names do not exist: end names with a dot, or set dnsConfig option ndots to 1 in the pod",
        }
      : {}),
  };
}
