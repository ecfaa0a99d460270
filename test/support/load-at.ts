/** Load from a place of a live cluster: runs load.ts there. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Cli } from "./cli.ts";
import type { Stream, Tally } from "./load.ts";

export interface Load {
  /** Ends it; what became of the requests, by the stream's name. */
  stop(): Promise<Readonly<Record<string, Tally>>>;
}

/** Starts the streams at a place; fulfilled when each of them had its first answer. */
export async function startLoad(
  cli: Cli,
  cluster: string,
  place: string,
  streams: readonly Stream[],
): Promise<Load> {
  const program = [process.execPath, "--disable-warning=ExperimentalWarning", "test/support/load.ts"];
  const child = spawn(
    process.execPath,
    ["bin/inroad.js", "exec", "--name", cluster, "--from", place, "--", ...program, JSON.stringify(streams)],
    { env: cli.env, stdio: ["pipe", "pipe", "inherit"] },
  );
  const closed = once(child, "close");
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const first = await lines.next();
  assert.equal(first.value, "asking", `no load from ${place}`);
  return {
    async stop() {
      child.stdin.end();
      const last = await lines.next();
      await closed;
      assert.ok(last.done !== true, `the load from ${place} ended early`);
      return JSON.parse(last.value);
    },
  };
}
