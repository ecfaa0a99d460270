/** `inroad fault`: breaks a part of a running cluster on purpose, and heals it. */
import { Command, InvalidArgumentError } from "commander";
import type { Fault, FaultKind } from "#model";
import { ask } from "./control.ts";
import { nameOption, outputOption, withNameBefore } from "./options.ts";

const longestLatencyMs = 60_000;

export function faultCommand(): Command {
  return withNameBefore(new Command("fault"))
    .description("break a part of a cluster on purpose: list what is broken, and heal it")
    .addCommand(
      kind("node-down", "cut a node off: its link, and its agent from the API server")
        .argument("<node>")
        .action((node: string, options: Named) => make(options, { kind: "node-down", node })),
    )
    .addCommand(
      kind("partition", "let nothing pass between two nodes")
        .argument("<node>")
        .argument("<other>")
        .action((node: string, other: string, options: Named) =>
          make(options, { kind: "partition", node, other }),
        ),
    )
    .addCommand(
      kind("latency", "let packets leave a node later (needs the kernel's netem)")
        .argument("<node>")
        .argument("<milliseconds>", `1 to ${longestLatencyMs}`, between(1, longestLatencyMs))
        .action((node: string, milliseconds: number, options: Named) =>
          make(options, { kind: "latency", node, milliseconds }),
        ),
    )
    .addCommand(
      kind("loss", "lose a share of the packets that enter or leave a node")
        .argument("<node>")
        .argument("<percent>", "0.01 to 100", between(0.01, 100))
        .action((node: string, percent: number, options: Named) =>
          make(options, { kind: "loss", node, percent }),
        ),
    )
    .addCommand(
      kind("unready", "let a stand-in say that it is not ready")
        .argument("<pod>", "NAMESPACE/POD, or POD of default")
        .action((pod: string, options: Named) => make(options, { kind: "unready", ...splitPod(pod) })),
    )
    .addCommand(
      kind("list", "show what is broken")
        .addOption(outputOption(["text", "json"]))
        .action(list),
    )
    .addCommand(
      kind("heal", "heal the named faults, or all")
        .argument("[id...]", "numbers as list shows them", collectIds)
        .action(heal),
    );
}

interface Named {
  readonly name: string;
}

function kind(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .exitOverride()
    .showHelpAfterError("(run with --help for the options)")
    .addOption(nameOption());
}

function between(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = /^\d+(?:\.\d{1,2})?$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new InvalidArgumentError(`a number from ${least} to ${most}`);
  };
}

function collectIds(text: string, before: readonly number[] = []): number[] {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("a number that inroad fault list shows");
  return [...before, Number(text)];
}

function splitPod(text: string): { namespace: string; pod: string } {
  const [first = "", second] = text.split("/");
  return second === undefined ? { namespace: "default", pod: first } : { namespace: first, pod: second };
}

interface Told {
  readonly faults: readonly (Fault & { readonly text: string })[];
}

async function make({ name }: Named, fault: FaultKind): Promise<void> {
  const { faults } = await ask<Told>(name, "/fault", fault);
  for (const { id, text } of faults) console.log(`fault ${id}: ${text} (inroad fault heal ${id} heals it)`);
}

async function list({ name, output }: Named & { readonly output: string }): Promise<void> {
  const { faults } = await ask<Told>(name, "/faults");
  if (output === "json") {
    console.log(JSON.stringify({ apiVersion: "inroad.dev/v1", kind: "FaultList", items: faults }, null, 2));
  } else if (faults.length === 0) console.log("nothing is broken on purpose");
  else for (const { id, text, since } of faults) console.log(`${id}  ${text}, since ${since}`);
}

async function heal(ids: readonly number[] | undefined, { name }: Named): Promise<void> {
  const { faults } = await ask<Told>(name, "/heal", { ids: ids?.length ? ids : undefined });
  if (faults.length === 0) console.log("nothing was broken on purpose");
  for (const { id, text } of faults) console.log(`healed fault ${id}: ${text}`);
}
