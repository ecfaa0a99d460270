/** Runs the product by its command line, with a state directory of its own per test file. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

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

/** A command line whose clusters nobody else sees. */
export function createCli(): Cli {
  const directory = mkdtempSync(join(tmpdir(), "inroad-test-"));
  const env: NodeJS.ProcessEnv = { ...process.env, XDG_RUNTIME_DIR: directory, NO_COLOR: "1" };
  const cli = (...args: readonly string[]): Promise<Result> => execute(["bin/inroad.js", ...args], env);
  return Object.assign(cli, {
    env,
    close: async (...names: readonly string[]) => {
      for (const name of names) await cli("down", "--name", name);
      rmSync(directory, { recursive: true, force: true });
    },
  });
}

function execute(args: readonly string[], env: NodeJS.ProcessEnv): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "pipe"] });
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
