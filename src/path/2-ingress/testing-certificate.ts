/** For tests: self-signed certificates. */
// The certificate library needs it to be loaded first.
// oxlint-disable-next-line import/no-unassigned-import
import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import type { PemCertificate } from "./certificates.ts";

/** A certificate for DNS names, as PEM. The first name is also its common name. */
export async function selfSigned(...names: readonly string[]): Promise<PemCertificate> {
  x509.cryptoProvider.set(crypto);
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${names[0] ?? "none"}`,
    keys,
    signingAlgorithm: algorithm,
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 3_600_000),
    extensions: [
      new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: "dns" as const, value }))),
    ],
  });
  const key = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
  return { cert: certificate.toString("pem"), key: x509.PemConverter.encode(key, "PRIVATE KEY") };
}
