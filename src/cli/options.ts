import { Option } from "commander";

/** `--name`, the same for every verb. */
export function nameOption(): Option {
  return new Option("--name <name>", "the cluster's name").default("default");
}

/** `-o`, with the formats a verb knows. */
export function outputOption(formats: readonly string[]): Option {
  return new Option("-o, --output <format>", "output format").choices(formats).default("text");
}
