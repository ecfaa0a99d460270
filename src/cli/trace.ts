import { Command, InvalidArgumentError } from "commander";
import { InroadError } from "#lib/errors";
import type { Trace } from "#trace";
import { ask } from "./control.ts";
import { nameOption, outputOption } from "./options.ts";
import { notBuilt } from "./unbuilt.ts";

interface TraceOptions {
  readonly name: string;
  readonly from: string;
  readonly request: string;
  readonly header: readonly string[];
  readonly send: boolean;
  readonly dryRun: boolean;
  readonly output: "text" | "wide" | "json" | "mermaid";
  readonly filename?: string;
  readonly context?: string;
}

export function traceCommand(): Command {
  return new Command("trace")
    .description(
      "send a request and explain its way hop by hop: predicted by the rules, confirmed by the kernel",
    )
    .argument("<url>", "http:// or https:// URL", requestUrl)
    .addOption(nameOption())
    .option("--from <place>", "internet or pod/NAMESPACE/POD", "internet")
    .option("-X, --request <method>", "HTTP method", "GET")
    .option("-H, --header <header>", "`Name: value`; repeatable", collectHeader, [])
    .option("--send", "send it although its method is neither GET nor HEAD", false)
    .option("--dry-run", "predict only, send nothing", false)
    .option("-f, --filename <path>", "predict from files, without a cluster (not built yet)")
    .option("--context <context>", "trace in a real cluster (not built yet)")
    .addOption(outputOption(["text", "wide", "json", "mermaid"]))
    .action(async (url: URL, options: TraceOptions) => {
      process.exitCode = await trace(url, options);
    });
}

async function trace(url: URL, options: TraceOptions): Promise<number> {
  if (options.filename !== undefined) throw notBuilt("trace -f");
  if (options.context !== undefined) throw notBuilt("trace --context");
  const method = options.request.toUpperCase();
  if (!options.dryRun && !options.send && !["GET", "HEAD"].includes(method)) {
    throw new InroadError("WouldSend", `${method} may change something`, {
      mend: "add --send to send it, or --dry-run to predict only",
    });
  }
  // Loaded only here: the tracer brings all hops along.
  const { exitStatusOf, render } = await import("#trace");
  const document = await ask<Trace>(options.name, "/trace", {
    url: url.href,
    from: options.from,
    method,
    headers: Object.fromEntries(options.header.map(splitHeader)),
    dryRun: options.dryRun,
  });
  console.log(render(document, options.output, { colour: coloursWanted() }));
  return exitStatusOf(document);
}

/** Colours only for people: a terminal, and no NO_COLOR (https://no-color.org). */
export function coloursWanted(): boolean {
  return process.stdout.isTTY && (process.env["NO_COLOR"] ?? "") === "";
}

function requestUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !["http:", "https:"].includes(url.protocol)) {
    throw new InvalidArgumentError("It must be an http:// or https:// URL.");
  }
  return url;
}

function collectHeader(text: string, previous: readonly string[]): string[] {
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+:/.test(text))
    throw new InvalidArgumentError("It must be `Name: value`.");
  return [...previous, text];
}

function splitHeader(text: string): [string, string] {
  const colon = text.indexOf(":");
  return [text.slice(0, colon), text.slice(colon + 1).trim()];
}
