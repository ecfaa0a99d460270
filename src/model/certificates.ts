/** TLS certificates of Ingresses, by host, from Secrets. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import type { KubeObject } from "#kube";
import { messageOf } from "#lib/errors";
import { nameOf, namespaceOf } from "./objects.ts";
import { normalizeHost } from "./routes.ts";
import { didYouMean } from "./suggest.ts";
import type { Finding, TlsCertificate } from "./types.ts";
import { asIngress, asSecret } from "./views.ts";

type Pem = NonNullable<TlsCertificate["pem"]>;
type Checked = { readonly pem: Pem; readonly x509: X509Certificate } | { readonly problem: string };

/** Checked once per version of a Secret: a changed Secret is another object. */
const checks = new WeakMap<KubeObject, Checked>();

export interface CompiledCertificates {
  readonly certificates: readonly TlsCertificate[];
  readonly findings: readonly Finding[];
}

/** The certificates that one Ingress asks for. An entry without a Secret leaves its hosts to the default certificate. */
export function compileCertificates(
  object: KubeObject,
  secrets: ReadonlyMap<string, KubeObject>,
): CompiledCertificates {
  const ingress = { namespace: namespaceOf(object), name: nameOf(object) };
  const certificates: TlsCertificate[] = [];
  const findings: Finding[] = [];
  for (const [i, entry] of (asIngress(object).spec?.tls ?? []).entries()) {
    if (entry.secretName === undefined || entry.secretName === "") continue;
    const secret = { namespace: ingress.namespace, name: entry.secretName };
    const checked = lookUp(secret, secrets);
    const hosts = entry.hosts === undefined || entry.hosts.length === 0 ? [""] : entry.hosts;
    for (const host of hosts.map(normalizeHost)) {
      const result = "problem" in checked ? { problem: checked.problem } : { pem: checked.pem };
      certificates.push({ host, secret, ingress, ...result });
    }
    const report = (code: string, severity: "error" | "warning", message: string, mend: string): void => {
      const where = { object: { kind: "Ingress", ...ingress }, field: `spec.tls[${i}].secretName` };
      findings.push({ code, severity, ...where, message, mend, affectsRouting: false });
    };
    if ("problem" in checked) {
      const code = secrets.has(keyOfSecret(secret)) ? "TlsSecretUnusable" : "TlsSecretMissing";
      report(
        code,
        "error",
        `${checked.problem}; the default certificate serves ${hosts.join(", ")}`,
        create(secret),
      );
    } else {
      for (const host of notCovered(checked.x509, hosts)) {
        const message = `the certificate in Secret ${keyOfSecret(secret)} is not valid for ${host}`;
        report(
          "TlsHostMismatch",
          "warning",
          message,
          `renew it with ${host} among its subject alternative names`,
        );
      }
    }
  }
  return { certificates, findings };
}

function keyOfSecret(secret: { namespace: string; name: string }): string {
  return `${secret.namespace}/${secret.name}`;
}

function create(secret: { namespace: string; name: string }): string {
  return `kubectl create secret tls ${secret.name} -n ${secret.namespace} --cert=FILE --key=FILE`;
}

function lookUp(
  secret: { namespace: string; name: string },
  secrets: ReadonlyMap<string, KubeObject>,
): Checked {
  const object = secrets.get(keyOfSecret(secret));
  if (object === undefined) {
    const prefix = `${secret.namespace}/`;
    const siblings = [...secrets.keys()].filter((key) => key.startsWith(prefix));
    const names = siblings.map((key) => key.slice(prefix.length));
    return { problem: `Secret ${keyOfSecret(secret)} does not exist${didYouMean(secret.name, names)}` };
  }
  const known = checks.get(object) ?? check(object);
  checks.set(object, known);
  return known;
}

function check(object: KubeObject): Checked {
  const { type, data } = asSecret(object);
  const name = `Secret ${namespaceOf(object)}/${nameOf(object)}`;
  if (type !== "kubernetes.io/tls") {
    return { problem: `${name} is of type ${type ?? "Opaque"}, not kubernetes.io/tls` };
  }
  const [certificate, key] = [decoded(data?.["tls.crt"]), decoded(data?.["tls.key"])];
  if (certificate === "" || key === "") {
    return { problem: `${name} has no ${certificate === "" ? "tls.crt" : "tls.key"}` };
  }
  try {
    const x509 = new X509Certificate(certificate);
    const matches = x509.checkPrivateKey(createPrivateKey(key));
    return matches
      ? { pem: { certificate, key }, x509 }
      : { problem: `${name}: tls.key is not the key of the certificate in tls.crt` };
  } catch (error) {
    return { problem: `${name} holds no PEM certificate and key that can be read (${messageOf(error)})` };
  }
}

function decoded(value: string | undefined): string {
  return value === undefined ? "" : Buffer.from(value, "base64").toString("latin1");
}

function notCovered(x509: X509Certificate, hosts: readonly string[]): string[] {
  // A wildcard host is asked for by an example name, since certificates are checked against names.
  return hosts.filter((host) => host !== "" && x509.checkHost(host.replace(/^\*\./, "any.")) === undefined);
}
