/** Child programs, started in a network namespace. */
import { spawn } from "node:child_process";
import type { ChildProcess, SpawnOptions } from "node:child_process";
import { InroadError, codeOf, messageOf } from "#lib/errors";
import { inNetNs } from "./netns.ts";
import { environmentFor, findProgram } from "./programs.ts";
import type { CommandResult, NetNs, NetPlace } from "./types.ts";

/** Children that Node waits for; the reaper of orphans leaves them alone. */
export const ownChildren = new Set<number>();

/**
 * Starts a program in a namespace (undefined: this thread's). Options are those of `child_process.spawn`.
 * @throws InroadError `MissingProgram` if there is no such program; other failures arrive as the `error` event.
 */
export function spawnIn(
  ns: NetPlace | undefined,
  command: string,
  args: readonly string[],
  options: SpawnOptions = {},
): ChildProcess {
  const cwd = options.cwd instanceof URL ? options.cwd.pathname : options.cwd;
  const program = findProgram(command, { path: options.env?.["PATH"], cwd });
  const child = inNetNs(ns, () => spawn(program, args, options));
  const { pid } = child;
  if (pid !== undefined) {
    ownChildren.add(pid);
    child.once("exit", () => ownChildren.delete(pid));
  }
  return child;
}

/** Milliseconds; what hangs for longer is killed, so that it can be tried again. */
const LONGEST_RUN_MS = 300_000;

/**
 * Runs a program to its end and returns what it printed. A status other than 0 is a result, not an error; a
 * program ended by a signal has code 128 + signal as in a shell, at least 129.
 * @param withinMs what takes longer is killed, which its standard error tells
 * @throws InroadError `MissingProgram`, or `SpawnFailed` if the system cannot start it.
 */
export function run(
  ns: NetNs | undefined,
  command: string,
  args: readonly string[],
  input?: string,
  withinMs = LONGEST_RUN_MS,
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawnIn(ns, command, args, {
      stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
      env: environmentFor(command),
    });
    let late = "";
    const limit = setTimeout(() => {
      late = `did not end within ${withinMs / 1000} s and was killed`;
      child.kill("SIGKILL");
    }, withinMs);
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout?.on("data", (chunk: Buffer) => stdout.push(chunk));
    child.stderr?.on("data", (chunk: Buffer) => stderr.push(chunk));
    child.on("error", (error) => {
      clearTimeout(limit);
      reject(new InroadError(codeOf(error) ?? "SpawnFailed", `${command}: ${messageOf(error)}`));
    });
    child.on("close", (code) => {
      clearTimeout(limit);
      resolve({ code: code ?? 129, stdout: textOf(stdout), stderr: textOf(stderr) + late });
    });
    // A program that ends without reading its input breaks the pipe; its exit status tells the story.
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(input);
  });
}

/** As `run`, but a status other than 0 throws `code` with what the program said. */
export async function runOrThrow(
  ns: NetNs | undefined,
  command: string,
  args: readonly string[],
  options: { code: string; input?: string; withinMs?: number },
): Promise<string> {
  const result = await run(ns, command, args, options.input, options.withinMs);
  if (result.code === 0) return result.stdout;
  const said = (result.stderr || result.stdout).trim() || `exit status ${result.code}`;
  throw new InroadError(options.code, `${command} failed: ${said}`, { where: ns?.name ?? "home" });
}

function textOf(chunks: readonly Buffer[]): string {
  return Buffer.concat(chunks).toString("utf8");
}
