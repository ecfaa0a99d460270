/** The certificates of a new cluster and the kubeconfig that uses them. */
import { createCa, issueCertificate } from "#lib/pki";
import { addresses, type Identity } from "#cluster";

export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

const serverNames = [
  "localhost",
  "kubernetes",
  "kubernetes.default",
  "kubernetes.default.svc",
  "kubernetes.default.svc.cluster.local",
];

/** What the supervisor keeps of a new cluster's identity: the CA's key never leaves this process. */
export interface Authority {
  readonly identity: Identity;
  readonly admin: KeyPair;
  /** The ingress's certificate for hosts without a usable Secret. */
  issueIngress(hosts: readonly string[]): Promise<KeyPair>;
}

/** A CA, the API server's certificate and the administrator's client certificate. */
export async function createAuthority(): Promise<Authority> {
  const ca = await createCa({ commonName: "inroad-ca", days: 365 });
  const [server, admin] = await Promise.all([
    issueCertificate(ca, {
      commonName: "kube-apiserver",
      dnsNames: serverNames,
      ipAddresses: ["127.0.0.1", addresses.control, addresses.kubernetesService],
      usages: ["server"],
      days: 365,
    }),
    issueCertificate(ca, {
      commonName: "kubernetes-admin",
      organizations: ["system:masters"],
      usages: ["client"],
      days: 365,
    }),
  ]);
  return {
    identity: {
      caCertificate: ca.certificate,
      serverCertificate: server.certificate,
      serverKey: server.key,
    },
    admin,
    issueIngress: (hosts) =>
      issueCertificate(ca, {
        commonName: "inroad-ingress",
        dnsNames: ["inroad-ingress", ...hosts],
        usages: ["server"],
        days: 365,
      }),
  };
}

/** A kubeconfig for the API server on the host's loopback; in JSON, which is YAML. */
export function kubeconfigText(name: string, port: number, identity: Identity, admin: KeyPair): string {
  const base64 = (text: string): string => Buffer.from(text).toString("base64");
  const entry = `inroad-${name}`;
  return JSON.stringify(
    {
      apiVersion: "v1",
      kind: "Config",
      clusters: [
        {
          name: entry,
          cluster: {
            server: `https://127.0.0.1:${port}`,
            "certificate-authority-data": base64(identity.caCertificate),
          },
        },
      ],
      users: [
        {
          name: entry,
          user: {
            "client-certificate-data": base64(admin.certificate),
            "client-key-data": base64(admin.key),
          },
        },
      ],
      contexts: [{ name: entry, context: { cluster: entry, user: entry } }],
      "current-context": entry,
    },
    undefined,
    2,
  );
}
