/** Verbs of the design that are not built yet: they say so instead of being unknown. */
import { Command } from "commander";
import { InroadError } from "#lib/errors";

const verbs: Readonly<Record<string, string>> = {
  check: "check manifests without a cluster",
  test: "run traffic tests from files without a cluster",
  diff: "compare two route configurations",
  ingress: "run the ingress controller against any cluster",
};

export function unbuiltCommands(): Command[] {
  return Object.entries(verbs).map(([name, description]) =>
    new Command(name)
      .description(`${description} (not built yet)`)
      .allowUnknownOption()
      .argument("[arguments...]")
      .action(() => {
        throw notBuilt(`inroad ${name}`);
      }),
  );
}

/** The error for a value or verb that the design names and this version does not have. */
export function notBuilt(what: string): InroadError {
  return new InroadError("NotBuilt", `${what} is not built yet`, {
    mend: "see the README for what works today",
  });
}
