/** The places of the cluster where a program can run or a request can start, and the resolver that each has. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { InroadError } from "#lib/errors";
import type { NetPlace } from "#kernel";
import { addresses } from "./config.ts";

export interface Places {
  readonly internet: NetPlace;
  readonly edge: NetPlace;
  node(name: string): NetPlace | undefined;
  pod(namespace: string, name: string): NetPlace | undefined;
  /** Names for error messages. */
  known(): readonly string[];
}

export interface Place {
  readonly ns: NetPlace;
  readonly nameserver: string;
  readonly search: readonly string[];
  readonly ndots: number;
  /** What requests from here ask the name server for, one after the other until there is an address. */
  readonly recordTypes: readonly AddressType[];
  /** Set where the place is a pod. */
  readonly pod?: { readonly namespace: string; readonly name: string };
}

type AddressType = "A" | "AAAA";

/** How a program comes to be at a place: into its namespace, or by variables that lead it to the place's proxy. */
export type PlaceEntrance =
  | {
      /** Descriptor of the namespace in the cluster's first process. */
      readonly fd: number;
      readonly resolvConf: string;
      readonly nsswitchConf: string;
    }
  | { readonly variables: Readonly<Record<string, string>> };

/** Pods ask the cluster DNS with the search list that Kubernetes gives them; everybody else asks the public DNS. */
const podNdots = 5;

/** Finds `internet`, `edge`, `node/NODE` or `pod/NAMESPACE/POD`. Throws `NoSuchPlace`. */
export function findPlace(places: Places, text: string, domain: string): Place {
  const [kind = "", first = "", second = "", ...more] = text.split("/");
  const inside = (ns: NetPlace): Place => ({
    ...{ ns, nameserver: addresses.dnsService, search: [], ndots: 1 },
    recordTypes: ["A"],
  });
  if (more.length === 0) {
    if (text === "internet") return outsidePlace(places.internet);
    if (text === "edge") return outsidePlace(places.edge);
    const node = kind === "node" && second === "" ? places.node(first) : undefined;
    if (node !== undefined) return inside(node);
    const pod = kind === "pod" ? places.pod(first, second) : undefined;
    if (pod !== undefined) return podPlace({ namespace: first, name: second }, pod, domain);
  }
  throw new InroadError("NoSuchPlace", `there is no place "${text}"`, {
    where: "--from",
    mend: `places are: ${places.known().join(", ")}`,
  });
}

/** A place outside of the cluster: it asks the public DNS. */
export function outsidePlace<Ns extends NetPlace>(ns: Ns): Place & { readonly ns: Ns } {
  return { ns, nameserver: addresses.publicDns, search: [], ndots: 1, recordTypes: ["A", "AAAA"] };
}

/** A pod as a place, with the resolver that Kubernetes gives it. */
export function podPlace(pod: NonNullable<Place["pod"]>, ns: NetPlace, domain: string): Place {
  return {
    ns,
    nameserver: addresses.dnsService,
    search: [`${pod.namespace}.svc.${domain}`, `svc.${domain}`, domain],
    ndots: podNdots,
    recordTypes: ["A"],
    pod,
  };
}

/** Writes the resolv.conf and nsswitch.conf of a place; returns their paths. */
export function writeResolver(stateDir: string, place: Place): { resolvConf: string; nsswitchConf: string } {
  const directory = join(stateDir, "resolver");
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  const label = place.pod === undefined ? place.nameserver : `${place.pod.namespace}.${place.pod.name}`;
  const resolvConf = join(directory, `${label}.resolv.conf`);
  const nsswitchConf = join(directory, "nsswitch.conf");
  writeFileSync(resolvConf, resolvConfText(place));
  writeFileSync(
    nsswitchConf,
    "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\nprotocols: files\n",
  );
  return { resolvConf, nsswitchConf };
}

function resolvConfText({ nameserver, search, ndots }: Place): string {
  const lines = [`nameserver ${nameserver}`];
  if (search.length > 0) lines.push(`search ${search.join(" ")}`);
  if (ndots !== 1) lines.push(`options ndots:${ndots}`);
  return `${lines.join("\n")}\n`;
}
