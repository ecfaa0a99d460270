/** Inroad's own components: which Worker runs them and what it is given. */
import { entryUrl } from "#lib/entry";
import { addresses, type ClusterConfig } from "./config.ts";
import type { Certificate } from "./host-side.ts";
import type { Identity } from "./messages.ts";
import { controllerName } from "./system.ts";
import type { ComponentData } from "./workers/worker.ts";

export interface ComponentSecrets {
  readonly identity: Identity;
  /** Bearer tokens by component. */
  readonly tokens: Readonly<Record<"ingress" | "dns", string>>;
  readonly debugToken: string;
  /** The ingress's default certificate at this moment. */
  readonly certificate: () => Certificate;
}

interface ComponentPlan {
  readonly script: URL;
  readonly data: (pod: { readonly namespace: string; readonly name: string }) => ComponentData;
}

/** By component label. DNS must work before Services do, so it asks the control address; the ingress uses the Service. */
export function components(
  config: ClusterConfig,
  secrets: ComponentSecrets,
): Readonly<Record<string, ComponentPlan>> {
  const plan = (name: "ingress" | "dns", apiServer: string): ComponentPlan => ({
    script: entryUrl(`cluster/workers/${name}`),
    data: ({ namespace, name: pod }) => ({
      pod: { namespace, name: pod },
      domain: config.domain,
      controllerName,
      apiServer,
      caCertificate: secrets.identity.caCertificate,
      token: secrets.tokens[name],
      debugToken: secrets.debugToken,
      nameserver: addresses.dnsService,
      certificate: secrets.certificate(),
    }),
  });
  return {
    dns: plan("dns", `https://${addresses.control}:${addresses.apiPort}`),
    ingress: plan("ingress", `https://${addresses.kubernetesService}:443`),
  };
}
