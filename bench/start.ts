/**
 * `npm run bench:start`: from nothing to a cluster that answers, and what it weighs.
 *
 * The rows are those of minikube's timeToK8s: command returns, API answers, application answers through the whole path,
 * DNS answers. Answers are verified before anything is counted. Memory is the PSS of all processes of the cluster.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { cpus, release, tmpdir } from "node:os";
import { join } from "node:path";

const rounds = Number(process.argv[2] ?? 5);
const launcher = ["bin/inroad.js"];

interface Round {
  readonly commandMs: number;
  readonly applicationMs: number;
  readonly dnsMs: number;
  readonly pssKiB: number;
}

function inroad(env: NodeJS.ProcessEnv, ...args: readonly string[]): string {
  const result = spawnSync(process.execPath, [...launcher, ...args], { env, encoding: "utf8" });
  if (result.status !== 0) throw new Error(`inroad ${args.join(" ")}: ${result.stdout}${result.stderr}`);
  return result.stdout;
}

/** A process and all that descends from it, by /proc. */
function descendants(root: number): number[] {
  const parents = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, "utf8");
        return [{ pid: Number(name), parent: Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]) }];
      } catch {
        return [];
      }
    });
  const below = (pid: number): number[] => [
    pid,
    ...parents.filter(({ parent }) => parent === pid).flatMap((child) => below(child.pid)),
  ];
  return below(root);
}

/** A process that may not be looked into (pasta gives up its rights) counts with its resident size, which is more. */
function pssKiB(pid: number): number {
  try {
    return kiB(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"), "Pss");
  } catch {
    return kiB(readFileSync(`/proc/${pid}/status`, "utf8"), "VmRSS");
  }
}

function kiB(text: string, field: string): number {
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(text)?.[1] ?? 0);
}

async function measure(env: NodeJS.ProcessEnv, name: string): Promise<Round> {
  const started = performance.now();
  inroad(env, "up", "--name", name, "-f", "examples/hadywafa", "--publish", "none", "--detach");
  const commandMs = performance.now() - started;
  const answer: { pod?: string } = JSON.parse(
    inroad(env, "curl", "--name", name, "-s", "https://api.hadywafa.com/"),
  );
  if (answer.pod?.startsWith("api-") !== true)
    throw new Error("the answer does not come from a pod of the Deployment");
  const applicationMs = performance.now() - started;
  const { pods, pid }: { pods: { namespace: string; name: string }[]; pid: number } = JSON.parse(
    inroad(env, "status", "--name", name, "-o", "json"),
  );
  const pod = pods.find((entry) => entry.name.startsWith("api-"));
  const asked = performance.now();
  const addresses = inroad(
    env,
    ...[
      "exec",
      "--name",
      name,
      "--from",
      `pod/${pod?.namespace}/${pod?.name}`,
      "--",
      "getent",
      "ahostsv4",
      "api-service",
    ],
  );
  if (!addresses.startsWith("10.96.")) throw new Error(`DNS answered ${addresses}`);
  const dnsMs = applicationMs + performance.now() - asked;
  const memory = descendants(pid)
    .map(pssKiB)
    .reduce((sum, value) => sum + value, 0);
  inroad(env, "down", "--name", name);
  return { commandMs, applicationMs, dnsMs, pssKiB: memory };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

const directory = mkdtempSync(join(tmpdir(), "inroad-bench-"));
const env = { ...process.env, XDG_RUNTIME_DIR: directory };
const results: Round[] = [];
for (let round = 0; round < rounds; round += 1) results.push(await measure(env, `bench-${round}`));
rmSync(directory, { recursive: true, force: true });

const record = {
  what: "inroad up -f examples/hadywafa --detach, then curl from outside, then getent in a pod; medians",
  rounds,
  commandMs: Math.round(median(results.map((row) => row.commandMs))),
  applicationAnswersMs: Math.round(median(results.map((row) => row.applicationMs))),
  dnsAnswersMs: Math.round(median(results.map((row) => row.dnsMs))),
  pssMiB: Math.round(median(results.map((row) => row.pssKiB)) / 1024),
  all: results,
  machine: `${cpus().length} x ${cpus()[0]?.model}, Linux ${release()}`,
  node: process.versions.node,
  user: process.getuid?.() === 0 ? "root" : "rootless",
  commit: spawnSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).stdout.trim(),
  date: new Date().toISOString(),
};
console.table(
  [
    ["command returns", `${record.commandMs} ms`],
    ["application answers (whole path, HTTPS)", `${record.applicationAnswersMs} ms`],
    ["DNS answers in a pod", `${record.dnsAnswersMs} ms`],
    ["memory, PSS of all processes", `${record.pssMiB} MiB`],
  ].map(([row, value]) => ({ row, value })),
);
mkdirSync("bench/results", { recursive: true });
writeFileSync(`bench/results/start-${record.user}.json`, `${JSON.stringify(record, null, 2)}\n`);
