/** TLS certificates by server name, taken from each snapshot without touching a connection. */
import { createSecureContext, type SecureContext } from "node:tls";
import { messageOf } from "#lib/errors";
import type { Log } from "#lib/log";
import { certificateFor, type IngressRoutes, type SnapshotSource, type TlsCertificate } from "#model";

export interface PemCertificate {
  /** PEM chain, the server's certificate first. */
  readonly cert: string;
  /** PEM private key. */
  readonly key: string;
}

/** Of every certificate's context. */
export const tlsSettings = { minVersion: "TLSv1.2" } as const;

/** Which certificate serves a name, and why. */
export interface CertificateChoice {
  /** Undefined: the default certificate. */
  readonly certificate: TlsCertificate | undefined;
  readonly reason: string;
}

/**
 * By the server name of the client's hello; the Host field plays no part (networking/v1 IngressTLS). Without a name there
 * is nothing to choose by: the server's own certificate serves.
 */
export function chooseCertificate(routes: IngressRoutes, serverName: string | undefined): CertificateChoice {
  if (serverName === undefined || serverName === "") {
    const reason = "the client sent no server name, so the default certificate serves";
    return { certificate: undefined, reason };
  }
  const named = `server name ${serverName}`;
  const found = certificateFor(routes, serverName);
  if (found === undefined) {
    return {
      certificate: undefined,
      reason: `${named}: no spec.tls entry covers it, so the default certificate serves`,
    };
  }
  const secret = `Secret ${found.secret.namespace}/${found.secret.name}`;
  if (found.pem === undefined) {
    const problem = found.problem ?? "it has no certificate";
    return {
      certificate: undefined,
      reason: `${named}: ${secret} cannot be used (${problem}), so the default certificate serves`,
    };
  }
  const ingress = `Ingress ${found.ingress.namespace}/${found.ingress.name}`;
  const host = found.host === "" ? "any host" : found.host;
  return { certificate: found, reason: `${named}: ${ingress} gives ${secret} for ${host}` };
}

/** Names per snapshot whose contexts are remembered; names come from clients. */
const maxNames = 10_000;

/** The contexts for `SNICallback`. Undefined: the server's default certificate. */
export function createCertificateStore(
  source: SnapshotSource,
  log: Log,
): (serverName: string) => SecureContext | undefined {
  let routes: IngressRoutes | undefined;
  let byName = new Map<string, SecureContext | undefined>();
  /** By content, so that a context outlives snapshots that did not change it. */
  let byPem = new Map<string, SecureContext | undefined>();

  return (serverName) => {
    const current = source.current().routes;
    if (current.certificates !== routes?.certificates) {
      byName = new Map();
      const used = new Set(
        current.certificates.flatMap(({ pem }) => (pem === undefined ? [] : [pem.certificate + pem.key])),
      );
      byPem = new Map([...byPem].filter(([pem]) => used.has(pem)));
    }
    routes = current;
    if (byName.has(serverName)) return byName.get(serverName);
    const context = contextOf(chooseCertificate(current, serverName).certificate, byPem, log);
    if (byName.size < maxNames) byName.set(serverName, context);
    return context;
  };
}

function contextOf(
  certificate: TlsCertificate | undefined,
  byPem: Map<string, SecureContext | undefined>,
  log: Log,
): SecureContext | undefined {
  if (certificate?.pem === undefined) return undefined;
  const { pem, secret } = certificate;
  const key = pem.certificate + pem.key;
  if (byPem.has(key)) return byPem.get(key);
  let context: SecureContext | undefined;
  try {
    context = createSecureContext({ cert: pem.certificate, key: pem.key, ...tlsSettings });
  } catch (error) {
    const name = `${secret.namespace}/${secret.name}`;
    log.warn("a TLS Secret cannot be used; the default certificate serves", {
      secret: name,
      why: messageOf(error),
    });
  }
  byPem.set(key, context);
  return context;
}
