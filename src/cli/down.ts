import { Command } from "commander";
import { InroadError } from "#lib/errors";
import { livingOwner, release, startTimeOf, stateDir } from "./state.ts";
import { nameOption } from "./options.ts";

const graceMs = 10_000;

export function downCommand(): Command {
  return new Command("down")
    .description("take a cluster down; nothing of it is left")
    .addOption(nameOption())
    .action(async ({ name }: { name: string }) => {
      const pid = await down(name);
      console.log(pid === undefined ? `no cluster "${name}" was up` : `cluster "${name}" is down`);
    });
}

/** Ends a cluster and removes its files. Idempotent; returns the pid that was ended, if there was one. */
async function down(name: string): Promise<number | undefined> {
  const directory = stateDir(name);
  const pid = livingOwner(directory);
  if (pid !== undefined) {
    process.kill(pid, "SIGTERM");
    if (!(await ended(pid, graceMs))) process.kill(pid, "SIGKILL");
    if (!(await ended(pid, graceMs))) {
      throw new InroadError("StillRunning", `process ${pid} of cluster "${name}" does not end`, {
        exitStatus: 1,
      });
    }
  }
  const { undoEgress } = await import("./egress.ts");
  await undoEgress(directory);
  release(directory);
  return pid;
}

/** Polls, because a process that is not our child gives no other sign of its end. */
async function ended(pid: number, withinMs: number): Promise<boolean> {
  const start = startTimeOf(pid);
  const deadline = performance.now() + withinMs;
  while (performance.now() < deadline) {
    if (start === undefined || startTimeOf(pid) !== start) return true;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return false;
}
