/** The command line: one file per verb, errors and exit statuses here. */
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { packageFile } from "#lib/entry";
import { InroadError, messageOf } from "#lib/errors";
import { upCommand } from "./up.ts";
import { downCommand } from "./down.ts";
import { statusCommand } from "./status.ts";
import { faultCommand } from "./fault.ts";
import { kubeconfigCommand } from "./kubeconfig.ts";
import { curlCommand, execCommand } from "./exec.ts";
import { dnsCommand } from "./dns.ts";
import { loadBalancerCommand } from "./load-balancer.ts";
import { nodeCommand } from "./node.ts";
import { doctorCommand } from "./doctor.ts";
import { proxyCommand } from "./proxy.ts";
import { traceCommand } from "./trace.ts";
import { unbuiltCommands } from "./unbuilt.ts";

const manifest: { version: string; description: string } = JSON.parse(readFileSync(packageFile, "utf8"));

const program = new Command("inroad")
  .description(manifest.description)
  .version(manifest.version)
  .showHelpAfterError("(run with --help for the options)")
  .enablePositionalOptions()
  .exitOverride()
  .addHelpText(
    "after",
    "\nExit status: 0 good; 1 findings or an undelivered request; 2 usage or input error; 3 undecidable.\n" +
      "Start with:  inroad up -f examples/hadywafa",
  );

for (const command of [
  upCommand(),
  downCommand(),
  statusCommand(),
  execCommand(),
  curlCommand(),
  traceCommand(),
  faultCommand(),
  kubeconfigCommand(),
  nodeCommand(),
  doctorCommand(),
  dnsCommand(),
  proxyCommand(),
  loadBalancerCommand(),
  ...unbuiltCommands(),
]) {
  program.addCommand(command.exitOverride().showHelpAfterError("(run with --help for the options)"));
}

/** Prints an error as what, where, what to do; returns the exit status. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof InroadError) {
    const where = error.where === undefined ? "" : `${error.where}: `;
    console.error(`inroad: ${where}${error.message}`);
    if (error.mend !== undefined) console.error(`  ${error.mend}`);
    return error.exitStatus;
  }
  console.error(`inroad: ${messageOf(error)} (this is a defect of Inroad)`);
  if (error instanceof Error && error.stack !== undefined) console.error(error.stack);
  return 1;
}

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}
