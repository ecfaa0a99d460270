import { Command } from "commander";
import { ask } from "./control.ts";
import { nameOption, withNameBefore } from "./options.ts";

/** `inroad node add` and `inroad node remove`: the size of a running cluster. */
export function nodeCommand(): Command {
  const add = new Command("add")
    .description("add a node to a running cluster; returns when pods can run on it")
    .argument("[node]", "its name; by default the next of node-a, node-b ...")
    .addOption(nameOption())
    .action(async (node: string | undefined, { name }: { name: string }) => {
      const added = await ask<{ name: string; addresses: readonly string[] }>(name, "/nodes/add", { node });
      console.log(`node ${added.name} has joined (${added.addresses.join(", ")})`);
    });
  const remove = new Command("remove")
    .description(
      "take a node away at once, with all that runs on it; `kubectl drain NODE` first moves its pods gently",
    )
    .argument("<node>", "its name")
    .addOption(nameOption())
    .action(async (node: string, { name }: { name: string }) => {
      await ask(name, "/nodes/remove", { node });
      console.log(`node ${node} is gone`);
    });
  return withNameBefore(new Command("node"))
    .description("let nodes join and leave a running cluster")
    .addCommand(add)
    .addCommand(remove);
}
