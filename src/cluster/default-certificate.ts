/** Keeps the ingress's default certificate valid for every Ingress host: the supervisor, which has the CA's key, issues it. */
import type { MessagePort } from "node:worker_threads";
import type { Snapshot, SnapshotSource } from "#model";
import type { Certificate, HostSide } from "./host-side.ts";
import { createCertificateLines } from "./threads.ts";

export interface DefaultCertificate {
  /** Fulfilled with the first certificate. */
  readonly first: Promise<void>;
  current(): Certificate;
  /** For a new ingress replica: the line on which it hears of later ones. */
  connect(): MessagePort;
}

/** Asks for a new certificate whenever the set of hosts changes, and tells the ingress replicas when it is there. */
export function keepCertificate(host: HostSide, source: SnapshotSource): DefaultCertificate {
  const { promise: first, resolve } = Promise.withResolvers<void>();
  let current: Certificate | undefined;
  let asked: string | undefined;
  const { announce, connect } = createCertificateLines();
  const follow = (snapshot: Snapshot): void => {
    const hosts = hostsOf(snapshot);
    if (hosts.join() === asked) return;
    asked = hosts.join();
    host.requestCertificate(hosts);
  };
  host.onCertificate((certificate) => {
    current = certificate;
    announce(certificate);
    resolve();
  });
  source.subscribe(follow);
  follow(source.current());
  return {
    first,
    connect,
    current: () => {
      if (current === undefined) throw new Error("the first certificate is not there yet");
      return current;
    },
  };
}

/** Hosts of rules and of tls entries, sorted: the latter for the case that their Secret cannot be used. */
function hostsOf({ routes }: Snapshot): string[] {
  const named = [...routes.hosts.keys(), ...routes.certificates.map(({ host }) => host)];
  return [...new Set(named)].filter((name) => name !== "").toSorted();
}
