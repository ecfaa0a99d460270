import { timingSafeEqual, createHash, X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";
import type { Socket } from "node:net";
import type { User } from "./context.ts";

/** Who may ask: bearer tokens, and client certificates of one authority. */
export interface Authentication {
  readonly tokens: ReadonlyMap<string, User>;
  /** PEM of the certificate authority whose client certificates are accepted. */
  readonly clientCA?: string;
}

export interface Authenticator {
  /** The user of a request, or undefined when its credentials are absent or wrong. */
  identify(authorization: string | undefined, socket: Socket | undefined): User | undefined;
}

/** Group that every known user belongs to. */
const AUTHENTICATED = "system:authenticated";

export function createAuthenticator(authentication: Authentication): Authenticator {
  // Digests have one length, so that comparing tells nothing of a token, not even how long it is.
  const tokens = [...authentication.tokens].map(([token, user]) => ({ digest: sha256(token), user }));
  const authority =
    authentication.clientCA === undefined ? undefined : new X509Certificate(authentication.clientCA);
  const certified = new WeakMap<Socket, User | undefined>();

  const byToken = (token: string): User | undefined => {
    const digest = sha256(token);
    let found: User | undefined;
    for (const known of tokens) if (timingSafeEqual(known.digest, digest)) found = known.user;
    return found;
  };
  const byCertificate = (socket: Socket): User | undefined => {
    if (authority === undefined) return undefined;
    if (!certified.has(socket)) certified.set(socket, certifiedUser(socket, authority));
    return certified.get(socket);
  };

  return {
    identify: (authorization, socket) => {
      const certificate = socket === undefined ? undefined : byCertificate(socket);
      const token = /^Bearer +(\S+) *$/i.exec(authorization ?? "")?.[1];
      const user = certificate ?? (token === undefined ? undefined : byToken(token));
      return user === undefined
        ? undefined
        : { name: user.name, groups: [...new Set([...user.groups, AUTHENTICATED])] };
    },
  };
}

const sha256 = (text: string): Buffer => createHash("sha256").update(text).digest();

/**
 * The user in a client certificate: common name and organizations (Kubernetes' X.509 client
 * certificates). The TLS handshake has proven possession of the key; issuer, validity and purpose are
 * checked here, so that the listener need only request certificates, not insist on them.
 */
function certifiedUser(socket: Socket, authority: X509Certificate): User | undefined {
  if (!isTls(socket)) return undefined;
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return undefined;
  const now = Date.now();
  const valid = Date.parse(certificate.validFrom) <= now && now <= Date.parse(certificate.validTo);
  const signed = certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
  const usages = certificate.keyUsage ?? [];
  if (!valid || !signed || certificate.ca || !usages.includes(CLIENT_AUTH)) return undefined;
  const subject = new Map<string, string[]>();
  for (const line of certificate.subject.split("\n")) {
    const at = line.indexOf("=");
    const key = line.slice(0, at);
    subject.set(key, [...(subject.get(key) ?? []), unescape(line.slice(at + 1))]);
  }
  const name = subject.get("CN")?.[0];
  return name === undefined ? undefined : { name, groups: subject.get("O") ?? [] };
}

/** Extended key usage clientAuth (RFC 5280 section 4.2.1.12). */
const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";

/** Undoes the escapes of RFC 2253 that Node puts into subject lines. */
const unescape = (text: string): string => text.replaceAll(/\\([\\,+"<>;=# ])/g, "$1");

function isTls(socket: Socket): socket is TLSSocket {
  return "getPeerX509Certificate" in socket;
}
