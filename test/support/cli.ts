/** Runs the product by its command line, with a state directory of its own per test file. */
import { spawn, type ChildProcessByStdio } from "node:child_process";
import { chownSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { nobody, spawnConfined } from "./confined.ts";

export interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Cli {
  /** Runs `inroad ARGS` to its end. */
  (...args: readonly string[]): Promise<Result>;
  readonly env: NodeJS.ProcessEnv;
  /** Takes down every cluster of this directory and removes it. */
  close(...names: readonly string[]): Promise<void>;
}

type Child = ChildProcessByStdio<null | Writable, Readable, Readable>;
type Start = (command: readonly string[], env: NodeJS.ProcessEnv) => Child | Promise<Child>;

const plainly: Start = ([program = "", ...args], env) =>
  spawn(program, args, { env, stdio: ["ignore", "pipe", "pipe"] });

/**
 * A command line whose clusters nobody else sees.
 * @param start how its commands are started; `spawnConfined` takes their rights away
 */
export function createCli(start: Start = plainly): Cli {
  const directory = mkdtempSync(join(tmpdir(), "inroad-test-"));
  if (start === spawnConfined && process.getuid?.() === 0) chownSync(directory, nobody, nobody);
  const env: NodeJS.ProcessEnv = { ...process.env, XDG_RUNTIME_DIR: directory, NO_COLOR: "1" };
  const cli = async (...args: readonly string[]): Promise<Result> =>
    resultOf(await start([process.execPath, "bin/inroad.js", ...args], env));
  return Object.assign(cli, {
    env,
    close: async (...names: readonly string[]) => {
      for (const name of names) await cli("down", "--name", name);
      rmSync(directory, { recursive: true, force: true });
    },
  });
}

function resultOf(child: Child): Promise<Result> {
  return new Promise((resolve, reject) => {
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
    child.once("error", reject);
    child.once("close", (code) =>
      resolve({
        code: code ?? -1,
        stdout: Buffer.concat(stdout).toString(),
        stderr: Buffer.concat(stderr).toString(),
      }),
    );
  });
}

/** Fails with everything that was printed unless the command succeeded. */
export function succeeded(result: Result): string {
  if (result.code !== 0) throw new Error(`exit ${result.code}\n${result.stdout}\n${result.stderr}`);
  return result.stdout;
}
