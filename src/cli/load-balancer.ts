/** `inroad load-balancer`: this node's part in announcing a cluster's load-balancer addresses on the network it is on. */
import { hostname } from "node:os";
import { Command, InvalidArgumentError } from "commander";
import { collectNetworks, kubeconfigOptions, requireKubeconfig, type KubeconfigOptions } from "./options.ts";

interface LoadBalancerOptions extends KubeconfigOptions {
  readonly node: string;
  readonly interface?: string;
  readonly pool?: readonly string[];
  readonly peerPort: number;
}

export function loadBalancerCommand(): Command {
  const command = new Command("load-balancer")
    .description("announce a cluster's load-balancer addresses on the nodes' network, by ARP and NDP")
    .option("--node <name>", "name of this node's Node object", hostname().toLowerCase())
    .option("--interface <name>", "network device to answer on (default: the one with the node's InternalIP)")
    .option(
      "--pool <cidr...>",
      "announce only addresses in these networks (default: all that Services have)",
      collectNetworks,
    )
    .option(
      "--peer-port <port>",
      "TCP port at the InternalIPs where the nodes check on each other",
      port,
      10266,
    )
    .addHelpText(
      "after",
      "\nRun one on every node, with the same options, in the host's network (needs NET_RAW, not root). It announces the" +
        "\naddresses in status.loadBalancer of Services and assigns none: something else in the cluster has to. The node's" +
        "\nkube-proxy, or inroad proxy, takes the packets from there. Health and metrics: /healthz, /metrics at the peer port.",
    );
  for (const option of kubeconfigOptions()) command.addOption(option);
  return command.action(runLoadBalancer);
}

async function runLoadBalancer(command: LoadBalancerOptions): Promise<void> {
  const { context, domain, node, pool: pools = [], peerPort } = command;
  const kubeconfig = requireKubeconfig("load-balancer", command);
  const kinds = ["services", "endpointslices", "nodes"];
  const options = { kubeconfig, domain, kinds, ...(context === undefined ? {} : { context }) };
  const { startComponent } = await import("./component.ts");
  const { source, log, stopped, close } = await startComponent("load-balancer", options);
  try {
    const { startAnnouncing } = await import("#path/load-balancer");
    const device = command.interface === undefined ? {} : { device: command.interface };
    const announcing = startAnnouncing({ source, node, pools, peerPort, log, ...device });
    log.info("load-balancer addresses are announced", { node, device: announcing.device, pools });
    await stopped;
    await announcing.close();
  } finally {
    close();
  }
}

function port(text: string): number {
  const value = Number(text);
  if (!/^\d{1,5}$/.test(text) || value < 1 || value > 65_535)
    throw new InvalidArgumentError("a port is a number from 1 to 65535");
  return value;
}
