/**
 * Runs programs at a place of the cluster: in its network namespace, with its resolver, with the cluster's root rights. Where there
 * are no namespaces, with variables that lead programs to the place's proxy.
 */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { constants } from "node:os";
import { Command } from "commander";
import { InroadError, codeOf, messageOf } from "#lib/errors";
import type { PlaceEntrance } from "#cluster";
import { ask } from "./control.ts";
import { nameOption } from "./options.ts";
import { firstProcess, stateDir } from "./state.ts";

/** The fixed program that gives the command a resolver of its own; its arguments are data, never text. */
const withResolver =
  'mount --bind "$1" "$(readlink -f /etc/resolv.conf)" && mount --bind "$2" "$(readlink -f /etc/nsswitch.conf)" && ' +
  'if [ -d /run/nscd ]; then mount -t tmpfs none /run/nscd; fi && shift 2 && exec "$@"';

export function execCommand(): Command {
  return new Command("exec")
    .description("run a program at a place: internet, edge, node/NODE or pod/NAMESPACE/POD")
    .addOption(nameOption())
    .option("--from <place>", "where to run it", "internet")
    .argument("<command...>", "the program and its arguments, after --")
    .passThroughOptions()
    .action(async (command: readonly string[], { name, from }: { name: string; from: string }) => {
      process.exitCode = await execAt(name, from, command);
    });
}

export function curlCommand(): Command {
  return new Command("curl")
    .description("curl from outside the cluster (= exec --from internet), trusting the cluster's CA")
    .addOption(nameOption())
    .argument("<arguments...>", "URL and curl's own options")
    .allowUnknownOption()
    .passThroughOptions()
    .action(async (args: readonly string[], { name }: { name: string }) => {
      const { name: named, rest } = takeName(args, name);
      const authority = join(stateDir(named), "ca.crt");
      process.exitCode = await execAt(named, "internet", ["curl", "--cacert", authority, ...rest]);
    });
}

/** `--name N` may stand behind the URL as well. */
function takeName(args: readonly string[], name: string): { name: string; rest: string[] } {
  const at = args.indexOf("--name");
  if (at < 0) return { name, rest: [...args] };
  return { name: args[at + 1] ?? name, rest: args.filter((_, index) => index !== at && index !== at + 1) };
}

/** Runs a command at a place with our own standard streams. Returns its exit status. */
async function execAt(name: string, from: string, command: readonly string[]): Promise<number> {
  const entrance = await ask<PlaceEntrance>(name, `/place?from=${encodeURIComponent(from)}`);
  if ("variables" in entrance) {
    const [program = "", ...args] = command;
    return runHere(program, args, { ...process.env, ...entrance.variables });
  }
  const init = firstProcess(stateDir(name));
  if (init === undefined)
    throw new InroadError("NotRunning", `no cluster "${name}" is up`, { exitStatus: 1 });
  const user = process.getuid?.() === 0 ? [] : ["--user", "--preserve-credentials"];
  return runHere(
    "nsenter",
    [
      ...[`--target=${init}`, ...user, "--mount", "--pid", `--wdns=${process.cwd()}`],
      `--net=/proc/${init}/fd/${entrance.fd}`,
      ...["unshare", "--mount", "--", "sh", "-c", withResolver, "sh"],
      ...[entrance.resolvConf, entrance.nsswitchConf, ...command],
    ],
    process.env,
  );
}

/** Runs a program with our standard streams and passes signals on. Returns its exit status. */
function runHere(program: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  // Our own launcher set this one; it is not for other programs.
  const child = spawn(program, args, { stdio: "inherit", env: { ...env, NODE_COMPILE_CACHE: undefined } });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.once("error", (error) => {
      if (program === "nsenter") return reject(cannotStart(error));
      // As a shell would end: not found, or found and not to be run.
      console.error(`inroad: cannot run ${program}: ${messageOf(error)}`);
      resolve(codeOf(error) === "ENOENT" ? 127 : 126);
    });
    child.once("exit", (code, signal) =>
      resolve(signal === null ? (code ?? 1) : 128 + constants.signals[signal]),
    );
  });
}

function cannotStart(error: Error): Error {
  if (codeOf(error) !== "ENOENT") return error;
  return new InroadError("MissingProgram", "nsenter is not found", {
    mend: "run `inroad doctor`",
    cause: error,
  });
}
