/** The words that say a cluster is up and what to do with it. */
import type { ClusterStatus, Publish } from "#cluster";

export interface ReadyFacts {
  /** Port of the API server on the host's loopback. */
  readonly api: number;
  readonly published: readonly (Publish & { readonly passedOver: readonly string[] })[];
  readonly stateDir: string;
  readonly seconds: number;
  /** How pods reach other networks, or why not. */
  readonly egress: string;
}

/** `nftables, vxlan, rootless`; without namespaces there is no overlay. */
export function kindOf({ proxyMode, overlay, rootless }: ClusterStatus): string {
  const network = proxyMode === "userspace" ? [proxyMode] : [proxyMode, overlay];
  return [...network, rootless ? "rootless" : "root"].join(", ");
}

/** A few lines: what is up, under which addresses, and the next commands. */
export function describeReady(status: ClusterStatus, facts: ReadyFacts): string {
  const flag = status.name === "default" ? "" : ` --name ${status.name}`;
  const kind = `${status.nodes.length} nodes, ${kindOf(status)}`;
  const lines = [`cluster "${status.name}" is up after ${facts.seconds.toFixed(2)} s (${kind})`];
  for (const { host, address } of status.hosts) lines.push(`  ${host} -> load balancer ${address}`);
  for (const { hostPort, port, passedOver } of facts.published) {
    const why = passedOver.length === 0 ? "" : `   (${passedOver.slice(0, 3).join(", ")})`;
    lines.push(`  load balancer port ${port} -> 127.0.0.1:${hostPort}${why}`);
  }
  for (const note of status.notes) lines.push(`  ${note}`);
  lines.push(`  ${facts.egress}`);
  if (!status.ready) lines.push(`  warning: still waiting for ${status.waitingFor.join(", ")}`);
  for (const finding of status.findings.filter(({ severity }) => severity !== "info")) {
    lines.push(`  ${finding.severity}: ${finding.object}: ${finding.message}`);
    if (finding.mend !== undefined) lines.push(`    ${finding.mend}`);
  }
  const host = status.hosts[0]?.host.replace("*", "www");
  lines.push(`  export KUBECONFIG=${facts.stateDir}/kubeconfig   # API server on 127.0.0.1:${facts.api}`);
  if (host !== undefined)
    lines.push(`  inroad trace${flag} https://${host}/    inroad curl${flag} https://${host}/`);
  return lines.join("\n");
}
