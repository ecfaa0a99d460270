/** Inroad's own components: which Worker runs them and what it is given. */
import type { MessagePort } from "node:worker_threads";
import { prepareWorker } from "#kernel";
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
  /** Lines to the main thread, one for each Worker. */
  readonly connect: Readonly<Record<"ingress" | "dns", () => MessagePort>>;
  /** The ingress's default certificate at this moment. */
  readonly certificate: () => Certificate;
}

interface ComponentPlan {
  readonly script: URL;
  readonly data: (pod: ComponentData["pod"]) => ComponentData;
}

const scripts = { dns: entryUrl("cluster/workers/dns"), ingress: entryUrl("cluster/workers/ingress") };

/** Lets the first components load their code while the network is being built. */
export function prepareComponents(ingressReplicas: number): void {
  prepareWorker(scripts.dns);
  for (let replica = 0; replica < ingressReplicas; replica += 1) prepareWorker(scripts.ingress);
}

/** By component label. DNS must work before Services do, so it asks the control address; the ingress uses the Service. */
export function components(
  config: ClusterConfig,
  secrets: ComponentSecrets,
): Readonly<Record<string, ComponentPlan>> {
  const plan = (name: "ingress" | "dns", apiServer: string): ComponentPlan => ({
    script: scripts[name],
    data: ({ namespace, name: pod, uid }) => ({
      ipFamilies: config.ipFamilies,
      pod: { namespace, name: pod, uid },
      domain: config.domain,
      controllerName,
      apiServer,
      caCertificate: secrets.identity.caCertificate,
      token: secrets.tokens[name],
      debugToken: secrets.debugToken,
      nameserver: addresses.dnsService,
      upstreamDns: config.upstreamDns,
      certificate: secrets.certificate(),
      line: secrets.connect[name](),
    }),
  });
  return {
    dns: plan("dns", `https://${addresses.control}:${addresses.apiPort}`),
    ingress: plan("ingress", `https://${addresses.kubernetesService}:443`),
  };
}
