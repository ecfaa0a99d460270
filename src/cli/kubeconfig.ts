import { existsSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { InroadError } from "#lib/errors";
import { nameOption } from "./options.ts";
import { livingOwner, stateDir } from "./state.ts";

export function kubeconfigCommand(): Command {
  return new Command("kubeconfig")
    .description("print the path of the cluster's kubeconfig (your own is never touched)")
    .addOption(nameOption())
    .action(({ name }: { name: string }) => {
      const file = join(stateDir(name), "kubeconfig");
      if (livingOwner(stateDir(name)) === undefined || !existsSync(file)) {
        throw new InroadError("NotRunning", `no cluster "${name}" is up`, { exitStatus: 1 });
      }
      console.log(file);
    });
}
