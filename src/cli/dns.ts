/** `inroad dns`: the cluster DNS, or the public zone, of any cluster's API server. */
import { Command, Option } from "commander";
import { kubeconfigOptions, type KubeconfigOptions } from "./options.ts";

/** As commander gives them; what is text here is read when the command runs. */
export interface DnsCommandOptions extends KubeconfigOptions {
  readonly listen: string;
  readonly upstream: readonly string[];
  readonly policy: "random" | "round_robin" | "sequential";
  readonly stub: readonly string[];
  readonly ttl: string;
  readonly pods: "disabled" | "insecure" | "verified";
  readonly namespace?: readonly string[];
  readonly endpointPodNames: boolean;
  readonly ignoreEmptyService: boolean;
  readonly zonal: boolean;
  readonly ingressHosts: boolean;
  readonly autopath: boolean;
  readonly log?: "all" | "denial" | "error";
  readonly metrics: string;
  readonly health: string;
  readonly ready: string;
  readonly lameduck: string;
  readonly public: boolean;
  readonly zone: readonly string[];
}

export function dnsCommand(): Command {
  const command = new Command("dns")
    .description("serve the names of a cluster, from its API server")
    .option("--listen <address>", "address of the name server, UDP and TCP", "0.0.0.0:53")
    .option(
      "--upstream <server>",
      "resolver for all other names, or none; repeatable (default: this machine's)",
      collect,
      [],
    )
    .addOption(
      choice("--policy <policy>", "which upstream first", ["random", "round_robin", "sequential"]).default(
        "random",
      ),
    )
    .option("--stub <domain=server,...>", "resolvers of their own for a domain; repeatable", collect, []);
  addZoneOptions(command);
  addOperationOptions(command);
  command
    .option(
      "--public",
      "serve the public zone instead: hosts of Ingresses and announced Services, nothing else",
      false,
    )
    .option(
      "--zone <domain>",
      "with --public: a zone it answers for; repeatable (default: all the world)",
      collect,
      [],
    );
  for (const option of kubeconfigOptions()) command.addOption(option);
  return command.action(async (options: DnsCommandOptions) => {
    // Loaded only here: a name server is more than other commands need.
    const { runDns } = await import("./dns-run.ts");
    await runDns(options);
  });
}

function addZoneOptions(command: Command): void {
  command
    .option("--ttl <seconds>", "TTL of the cluster's records, 0 to 3600", "5")
    .addOption(
      choice("--pods <mode>", "names of pods by their address", ["disabled", "insecure", "verified"]).default(
        "insecure",
      ),
    )
    .option("--namespace <name>", "serve only these namespaces; repeatable", collect)
    .option("--endpoint-pod-names", "name endpoints after their pods", false)
    .option("--ignore-empty-service", "a Service without a ready endpoint does not exist", false)
    .option("--zonal", "names by topology zone", false)
    .option("--ingress-hosts", "answer the hosts of Ingresses with their load balancer's addresses", false)
    .option(
      "--autopath",
      "walk search lists for pods with the default resolver settings (watches pods)",
      false,
    );
}

function addOperationOptions(command: Command): void {
  command
    .addOption(choice("--log <which>", "a line per query", ["all", "denial", "error"]))
    .option("--metrics <address>", "where /metrics and /clients are, or none", "127.0.0.1:9153")
    .option("--health <address>", "where /health is, or none", "127.0.0.1:8080")
    .option("--ready <address>", "where /ready is, or none", "127.0.0.1:8181")
    .option("--lameduck <seconds>", "go on answering for so long after SIGTERM", "5");
}

const choice = (flags: string, description: string, values: readonly string[]): Option =>
  new Option(flags, description).choices(values);

const collect = (text: string, all: readonly string[] = []): readonly string[] => [...all, text];
