import { Option } from "commander";

/** `--name`, the same for every verb. */
export function nameOption(): Option {
  return new Option("--name <name>", "the cluster's name").default("default");
}

/** `-o`, with the formats a verb knows. */
export function outputOption(formats: readonly string[]): Option {
  return new Option("-o, --output <format>", "output format").choices(formats).default("text");
}

/** The options of `up`, as commander gives them. */
export interface UpOptions {
  readonly name: string;
  readonly filename: readonly string[];
  readonly kustomize?: string;
  readonly nodes: number;
  readonly proxyMode: "nftables" | "iptables";
  readonly overlay: "vxlan";
  readonly publish: readonly string[];
  readonly config?: string;
  readonly dataDir?: string;
  readonly detach: boolean;
  readonly once: boolean;
  readonly show?: string;
}
