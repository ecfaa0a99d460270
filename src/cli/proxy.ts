/** `inroad proxy`: the Service rules of the node it runs on, from any cluster's API server. */
import { hostname } from "node:os";
import { Command, Option } from "commander";
import { startNftThread } from "#kernel";
import { InroadError, messageOf } from "#lib/errors";
import { requireMode } from "./doctor.ts";
import { collectNetworks, kubeconfigOptions, requireKubeconfig, type KubeconfigOptions } from "./options.ts";

interface ProxyCommandOptions extends KubeconfigOptions {
  readonly node: string;
  readonly proxyMode: "nftables" | "iptables" | "ipvs";
  readonly cleanup: boolean;
  readonly iptables?: "nft" | "legacy";
  readonly externalIps: boolean;
  readonly masqueradeAll: boolean;
  readonly nodeportAddresses?: readonly string[];
}

export function proxyCommand(): Command {
  const command = new Command("proxy")
    .description("keep the Service rules of this node, from a cluster's API server (needs root)")
    .option("--node <name>", "name of this node's Node object", hostname().toLowerCase())
    .addOption(
      new Option("--proxy-mode <mode>", "kind of rules")
        .choices(["nftables", "iptables", "ipvs"])
        .default("nftables"),
    )
    .addOption(
      new Option(
        "--iptables <flavour>",
        "program of mode iptables; the system's default if not said",
      ).choices(["nft", "legacy"]),
    )
    .option("--external-ips", "serve externalIPs: whoever may write Services can take any address", false)
    .option("--masquerade-all", "rewrite the source of pods at ClusterIPs, too", false)
    .option(
      "--nodeport-addresses <cidr...>",
      "networks of the node's addresses that have node ports",
      collectNetworks,
    )
    .option("--cleanup", "remove all rules that inroad proxy made on this machine, and end", false)
    .addHelpText(
      "after",
      "\nWhen it ends its rules stay in force: the next start goes on with them. --cleanup removes them." +
        "\nRun it instead of kube-proxy, not beside it. Metrics: 127.0.0.1:10249/metrics. Health: port 10256.",
    );
  for (const option of kubeconfigOptions()) command.addOption(option);
  return command.action(async (options: ProxyCommandOptions) => {
    if (options.cleanup) await cleanUpNode();
    else await runProxy(options);
  });
}

async function cleanUpNode(): Promise<void> {
  const { cleanUp } = await import("#path/proxy");
  try {
    await cleanUp(undefined);
  } catch (error) {
    throw notAllowed(error);
  }
}

async function runProxy(command: ProxyCommandOptions): Promise<void> {
  const { context, domain, node, proxyMode } = command;
  const kubeconfig = requireKubeconfig("proxy", command);
  requireMode(proxyMode);
  const kinds = ["services", "endpointslices", "nodes", "servicecidrs"];
  const options = { kubeconfig, domain, kinds, ...(context === undefined ? {} : { context }) };
  const { startComponent } = await import("./component.ts");
  const { source, log, stopped, close } = await startComponent("proxy", options);
  const { startProxy } = await import("#path/proxy");
  startNftThread();
  if (!source.current().nodes.has(node)) {
    log.warn(`the cluster has no routable node ${node}: node ports and policy Local need its address`, {
      nodes: [...source.current().nodes.keys()],
    });
  }
  const { iptables, externalIps: externalIPs, masqueradeAll, nodeportAddresses: nodePortNetworks } = command;
  const proxy = startProxy({
    ...{ source, node, netns: undefined, mode: proxyMode, log, externalIPs, masqueradeAll },
    ...(iptables === undefined ? {} : { iptables }),
    ...(nodePortNetworks === undefined ? {} : { nodePortNetworks }),
  });
  const ended = await Promise.race([
    proxy.ready.then(() => log.info("rules are in force", { node, mode: proxyMode })).then(() => stopped),
    stopped,
  ]);
  await proxy.close({ keepRules: true });
  close();
  return ended;
}

function notAllowed(error: unknown): InroadError {
  return new InroadError("CleanupFailed", `the rules could not be removed: ${messageOf(error)}`, {
    mend: "run it as root on the node",
    cause: error,
  });
}
