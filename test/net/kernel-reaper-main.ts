/** Runs as PID 1 for kernel-reaper.test.ts: leaves an orphan behind and says whether it was reaped. */
import { readFileSync, readdirSync } from "node:fs";
import { run, startReaper } from "#kernel";

function zombies(): number {
  const stats = readdirSync("/proc").flatMap((name) => {
    try {
      return /^\d+$/.test(name) ? [readFileSync(`/proc/${name}/stat`, "utf8")] : [];
    } catch {
      return [];
    }
  });
  return stats.filter((stat) => / Z 1 /.test(stat)).length;
}

await run(undefined, "sh", ["-c", "sleep 0.1 >/dev/null 2>&1 & exit 0"]);
const limit = Date.now() + 5000;
while (zombies() === 0 && Date.now() < limit) await new Promise((resolve) => setTimeout(resolve, 10));
const seen = zombies() > 0;
const stop = startReaper(50);
const results = [0, 1, 2].map(() => run(undefined, "sh", ["-c", "exit 7"]));
const codes = (await Promise.all(results)).map(({ code }) => code);
while (zombies() > 0 && Date.now() < limit) await new Promise((resolve) => setTimeout(resolve, 10));
stop();
console.log(JSON.stringify({ seen, left: zombies(), codes }));
