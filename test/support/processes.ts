/** Processes of a cluster, as the host sees them. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";

/** All living processes below one, itself included, with their start times. */
export function family(root: number): Map<number, string> {
  const all = new Map<number, { parent: number; start: string }>();
  for (const entry of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, "utf8");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (fields[0] !== "Z") all.set(Number(entry), { parent: Number(fields[1]), start: fields[19] ?? "" });
    } catch {
      // It ended meanwhile.
    }
  }
  const members = new Map<number, string>();
  const add = (pid: number): void => {
    members.set(pid, all.get(pid)?.start ?? "");
    for (const [child, { parent }] of all) if (parent === pid) add(child);
  };
  add(root);
  return members;
}

/** Waits until none of these processes lives any more. */
export async function allGone(members: ReadonlyMap<number, string>): Promise<void> {
  const lives = ([pid, start]: [number, string]): boolean => {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return fields[0] !== "Z" && fields[19] === start;
    } catch {
      return false;
    }
  };
  for (const deadline = Date.now() + 10_000; [...members].some(lives);) {
    assert.ok(
      Date.now() < deadline,
      `still alive: ${[...members]
        .filter(lives)
        .map(([pid]) => pid)
        .join(" ")}`,
    );
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
