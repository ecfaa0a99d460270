/** A live cluster with a real kubectl pointed at it. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { createCli, succeeded } from "./cli.ts";
import type { Cli, Result } from "./cli.ts";
import { kubectlPath, runKubectl } from "./kubectl.ts";
import type { kubectlVersions } from "./kubectl.ts";

export interface Follower {
  /** The next line that matches; fails after 20 s, or when the program ends before. */
  until(pattern: RegExp): Promise<string>;
  close(): Promise<void>;
}

export interface Kubectl {
  /** Runs it to its end and returns what it printed; fails unless it exits 0. Arguments are split at spaces. */
  (args: string, input?: string): Promise<string>;
  /** Runs it however it ends. */
  attempt(args: string, input?: string): Promise<Result>;
  /** Starts it and reads its lines as they come. */
  follow(args: string): Follower;
}

export interface Live {
  readonly cli: Cli;
  /** An own directory of this cluster; every place of the path sees it too. */
  readonly folder: string;
  kubectl(version: (typeof kubectlVersions)[number]): Kubectl;
  /** Runs a program at a place of the path and returns what it printed; fails unless it exits 0. */
  exec(from: string, ...command: readonly string[]): Promise<string>;
  up(...options: readonly string[]): Promise<void>;
  down(): Promise<void>;
}

export function createLive(name: string): Live {
  const cli = createCli();
  const folder = cli.env["XDG_RUNTIME_DIR"] ?? "";
  const kubeconfig = join(folder, "inroad", name, "kubeconfig");
  return {
    cli,
    folder,
    kubectl: (version) => createKubectl(kubectlPath(version) ?? "kubectl", kubeconfig, join(folder, version)),
    exec: async (from, ...command) =>
      succeeded(await cli("exec", "--name", name, "--from", from, "--", ...command)),
    up: async (...options) => {
      succeeded(await cli("up", "--name", name, "--publish", "none", "--detach", ...options));
    },
    down: () => cli.close(name),
  };
}

function createKubectl(path: string, kubeconfig: string, cacheDir: string): Kubectl {
  const attempt: Kubectl["attempt"] = (args, input) =>
    runKubectl(path, args.split(" "), { kubeconfig, cacheDir, ...(input === undefined ? {} : { input }) });
  const run = async (args: string, input?: string): Promise<string> => {
    const result = await attempt(args, input);
    assert.equal(result.code, 0, `kubectl ${args}: exit ${result.code}\n${result.stdout}\n${result.stderr}`);
    return result.stdout;
  };
  const follow = (args: string): Follower =>
    createFollower(path, [`--kubeconfig=${kubeconfig}`, `--cache-dir=${cacheDir}`, ...args.split(" ")]);
  return Object.assign(run, { attempt, follow });
}

function createFollower(path: string, args: readonly string[]): Follower {
  const child = spawn(path, args, { stdio: ["ignore", "pipe", "inherit"] });
  const closed = once(child, "close");
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const seen: string[] = [];
  return {
    async until(pattern) {
      const timer = setTimeout(() => child.kill(), 20_000);
      try {
        for (;;) {
          const next = await lines.next();
          assert.ok(next.done !== true, `no line like ${pattern} in:\n${seen.join("\n")}`);
          seen.push(next.value);
          if (pattern.test(next.value)) return next.value;
        }
      } finally {
        clearTimeout(timer);
      }
    },
    async close() {
      child.kill();
      await closed;
    },
  };
}

/** Tries again until the check passes, at most 20 s; then its last failure is the result. */
export async function eventually<T>(check: () => Promise<T>): Promise<T> {
  for (const deadline = Date.now() + 20_000; ;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}
