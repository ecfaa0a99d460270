/**
 * PID 1 inherits orphans (grandchildren whose parent ended) and must wait for them, or they stay as zombies.
 * Node waits for its own children one by one, so a general waitpid(-1) would steal their exit status: only
 * zombies that are no child of Node's are reaped.
 */
import { readFileSync, readdirSync } from "node:fs";
import { reapChild } from "./libc.ts";
import { ownChildren } from "./run.ts";

/** Reaps orphans every two seconds until the returned function is called. Does nothing unless we are PID 1. */
export function startReaper(intervalMs = 2000): () => void {
  if (process.pid !== 1) return () => undefined;
  let seen = new Set<number>();
  const timer = setInterval(() => (seen = reapOrphans(seen)), intervalMs);
  timer.unref();
  return () => clearInterval(timer);
}

/**
 * Reaps the zombies that were already there in the previous round (a Worker's own child may be waited for by its
 * thread at any moment, so a fresh zombie is left for one round); returns those found now.
 */
function reapOrphans(previous: ReadonlySet<number>): Set<number> {
  const found = new Set<number>();
  for (const pid of zombies()) {
    if (ownChildren.has(pid)) continue;
    if (!previous.has(pid) || !reapChild(pid)) found.add(pid);
  }
  return found;
}

/** Zombies among our direct children, from /proc. */
function zombies(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => isZombieChild(readStat(name)))
    .map(Number);
}

/** Fields 3 and 4 of proc_pid_stat(5), after the name in parentheses: state and parent. */
function isZombieChild(stat: string): boolean {
  const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return state === "Z" && Number(parent) === process.pid;
}

function readStat(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    // It ended meanwhile.
    return "";
  }
}
