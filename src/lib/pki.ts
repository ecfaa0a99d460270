/**
 * Issues X.509 certificates (RFC 5280), ECDSA P-256 with SHA-256. Only issues: what comes from outside is read by
 * node:crypto. A library for this took a tenth of the start of a cluster and stayed in memory.
 */
import {
  createHash,
  createPrivateKey,
  generateKeyPair,
  randomBytes,
  sign,
  X509Certificate,
} from "node:crypto";
import type { KeyObject } from "node:crypto";
import { promisify } from "node:util";
import ipaddr from "ipaddr.js";
import { bits, context, integer, octets, oid, sequence, set, time, utf8, yes } from "./der.ts";

/** A certificate and its private key, both as PEM. */
export interface Certificate {
  readonly certificate: string;
  readonly key: string;
}

export interface CertificateRequest {
  readonly commonName: string;
  /** For client certificates these are the user's groups. */
  readonly organizations?: readonly string[];
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
  readonly usages: readonly ("server" | "client")[];
  readonly days: number;
}

const DAY_MS = 86_400_000;
/** Certificates are valid from a little earlier on, for clocks that lag. */
const SKEW_MS = 300_000;

const newKeys = promisify(generateKeyPair);
const ecdsaWithSha256 = sequence(oid("1.2.840.10045.4.3.2"));

/** A certificate authority of its own: self-signed, may sign end certificates only. */
export async function createCa(options: { commonName: string; days: number }): Promise<Certificate> {
  const { publicKey, privateKey } = await newKeys("ec", { namedCurve: "P-256" });
  const name = nameOf([], options.commonName);
  const extensions = [
    extension("2.5.29.19", true, sequence(yes, integer(Buffer.from([0])))),
    // digitalSignature, keyCertSign, cRLSign
    extension("2.5.29.15", true, bits(Buffer.from([0x86]), 1)),
    extension("2.5.29.14", false, octets(keyId(publicKey))),
  ];
  return certify(
    { subject: name, issuer: name, days: options.days, publicKey, extensions },
    privateKey,
    privateKey,
  );
}

/** A certificate signed by an authority that `createCa` made, with a new key. */
export async function issueCertificate(ca: Certificate, request: CertificateRequest): Promise<Certificate> {
  const { publicKey, privateKey } = await newKeys("ec", { namedCurve: "P-256" });
  const authority = new X509Certificate(ca.certificate);
  const purposes = { server: "1.3.6.1.5.5.7.3.1", client: "1.3.6.1.5.5.7.3.2" };
  const names = [
    ...(request.dnsNames ?? []).map((name) => context(2, false, Buffer.from(name, "ascii"))),
    ...(request.ipAddresses ?? []).map((address) =>
      context(7, false, Buffer.from(ipaddr.parse(address).toByteArray())),
    ),
  ];
  const extensions = [
    extension("2.5.29.19", true, sequence()),
    // digitalSignature
    extension("2.5.29.15", true, bits(Buffer.from([0x80]), 7)),
    extension("2.5.29.37", false, sequence(...request.usages.map((usage) => oid(purposes[usage])))),
    extension("2.5.29.14", false, octets(keyId(publicKey))),
    extension("2.5.29.35", false, sequence(context(0, false, keyId(authority.publicKey)))),
    ...(names.length === 0 ? [] : [extension("2.5.29.17", false, sequence(...names))]),
  ];
  const subject = nameOf(request.organizations ?? [], request.commonName);
  const issuer = nameOf([], String(authority.toLegacyObject().subject.CN));
  const signingKey = createPrivateKey(ca.key);
  return certify({ subject, issuer, days: request.days, publicKey, extensions }, privateKey, signingKey);
}

interface Statement {
  readonly subject: Buffer;
  readonly issuer: Buffer;
  readonly days: number;
  readonly publicKey: KeyObject;
  readonly extensions: readonly Buffer[];
}

function certify(statement: Statement, key: KeyObject, signingKey: KeyObject): Certificate {
  const { subject, issuer, days, publicKey, extensions } = statement;
  const now = Date.now();
  const signed = sequence(
    context(0, true, integer(Buffer.from([2]))), // version 3
    integer(serialNumber()),
    ecdsaWithSha256,
    issuer,
    sequence(time(new Date(now - SKEW_MS)), time(new Date(now + days * DAY_MS))),
    subject,
    publicKey.export({ format: "der", type: "spki" }),
    context(3, true, sequence(...extensions)),
  );
  const certificate = sequence(signed, ecdsaWithSha256, bits(sign("sha256", signed, signingKey)));
  return {
    certificate: new X509Certificate(certificate).toString(),
    key: key.export({ format: "pem", type: "pkcs8" }),
  };
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  return sequence(oid(id), ...(critical ? [yes] : []), octets(value));
}

/** A distinguished name: organizations, then the common name. */
function nameOf(organizations: readonly string[], commonName: string): Buffer {
  const part = (id: string, value: string): Buffer => set(sequence(oid(id), utf8(value)));
  return sequence(...organizations.map((name) => part("2.5.4.10", name)), part("2.5.4.3", commonName));
}

/** SHA-1 of the key's bits (RFC 5280 section 4.2.1.2): of a P-256 key, the last 65 bytes of its encoding. */
function keyId(key: KeyObject): Buffer {
  return createHash("sha1")
    .update(key.export({ format: "der", type: "spki" }).subarray(-65))
    .digest();
}

/** 16 random bytes, the first bit clear and the second set: positive and of full length (RFC 5280 section 4.1.2.2). */
function serialNumber(): Buffer {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes;
}
