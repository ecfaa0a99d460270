import { type Command, InvalidArgumentError, Option } from "commander";
import { InroadError } from "#lib/errors";
import { canonicalCidr } from "#lib/ip";
import type { ProxyMode } from "#path/proxy";

/** `--name`, the same for every verb. */
export function nameOption(): Option {
  return new Option("--name <name>", "the cluster's name").default("default");
}

/** Lets `--name` stand before a subcommand as well as after it. */
export function withNameBefore(command: Command): Command {
  return command.option("--name <name>", "the cluster's name").hook("preAction", (outer, inner) => {
    const { name } = outer.opts<{ name?: string }>();
    if (name !== undefined) inner.setOptionValue("name", name);
  });
}

/** `-o`, with the formats a verb knows. */
export function outputOption(formats: readonly string[]): Option {
  return new Option("-o, --output <format>", "output format").choices(formats).default("text");
}

/** What a component needs that runs by itself. */
export interface KubeconfigOptions {
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly domain: string;
}

/** `--kubeconfig`, `--context` and `--domain`, the same for every component. */
export function kubeconfigOptions(): readonly Option[] {
  return [
    new Option("--kubeconfig <file>", "the way to the API server").env("KUBECONFIG"),
    new Option("--context <name>", "a context of the kubeconfig; its current one if not given"),
    new Option("--domain <domain>", "the cluster's domain").default("cluster.local"),
  ];
}

/** The file of `--kubeconfig`; throws `NoKubeconfig` where there is none. */
export function requireKubeconfig(verb: string, { kubeconfig }: KubeconfigOptions): string {
  if (kubeconfig !== undefined) return kubeconfig;
  throw new InroadError("NoKubeconfig", `${verb} needs the way to an API server`, {
    mend: "name a kubeconfig file: --kubeconfig FILE, or the environment's KUBECONFIG",
  });
}

/** Collects the networks of an option that may be given several times. */
export function collectNetworks(text: string, before: readonly string[] = []): readonly string[] {
  const network = canonicalCidr(text);
  if (network === undefined)
    throw new InvalidArgumentError("a network is an address and a length: 172.30.0.0/24");
  return [...before, network];
}

/** The options of `up`, as commander gives them. */
export interface UpOptions {
  readonly name: string;
  readonly filename: readonly string[];
  readonly kustomize?: string;
  readonly nodes: number;
  readonly zones: readonly string[];
  readonly proxyMode: ProxyMode;
  readonly overlay: "vxlan" | "host-gw";
  readonly ipFamilies: "ipv4" | "dual";
  readonly publish: readonly string[];
  readonly config?: string;
  readonly dataDir?: string;
  readonly detach: boolean;
  readonly once: boolean;
  readonly show?: string;
}
