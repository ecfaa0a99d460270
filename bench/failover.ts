/**
 * `npm run bench:failover [rounds]`: a node is cut off without a word, how long do new connections fail?
 *
 * Three nodes with three pods each behind one address, externalTrafficPolicy Cluster: the load balancer must leave out the node,
 * and the proxies of the others its pods. A client opens a connection every 5 ms; counted is the time from the cut to the
 * beginning of the last connection that failed. Between the rounds all nodes are back and answer.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { failoverLab } from "../test/net/failover-lab.ts";

const ROUNDS = 20;
const WATCH_MS = 1500;

async function measure(rounds: number): Promise<readonly number[]> {
  const lab = await failoverLab();
  const lasted: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const node = `node-${"abc"[round % 3]}`;
    lasted.push(await lab.failover(node, WATCH_MS));
    await lab.heal(node);
  }
  await lab.steady();
  await lab.close();
  return lasted;
}

/** In namespaces of its own; the figures are the last line that it prints. */
function measureInChild(rounds: number): readonly number[] {
  const user = process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"];
  const namespaces = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
  const self = [process.execPath, ...process.execArgv, import.meta.filename, "--measure", String(rounds)];
  const child = spawnSync("unshare", [...user, ...namespaces, ...self], { encoding: "utf8" });
  if (child.status !== 0) throw new Error(child.stderr);
  return JSON.parse(child.stdout.trimEnd().split("\n").at(-1) ?? "");
}

function record(lasted: readonly number[]): void {
  const sorted = lasted.map(Math.round).toSorted((a, b) => a - b);
  const result = {
    what: "one of three nodes is cut off: milliseconds until no new connection fails any more; see bench/failover.ts",
    rounds: sorted.length,
    medianMs: sorted[Math.floor(sorted.length / 2)],
    worstMs: sorted.at(-1),
    all: sorted,
    machine: `${cpus().length} x ${cpus()[0]?.model}, Linux ${release()}`,
    node: process.versions.node,
    user: process.getuid?.() === 0 ? "root" : "rootless",
    commit: spawnSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).stdout.trim(),
    date: new Date().toISOString(),
  };
  console.table({ rounds: result.rounds, "median ms": result.medianMs, "worst ms": result.worstMs });
  mkdirSync("bench/results", { recursive: true });
  writeFileSync(`bench/results/failover-${result.user}.json`, `${JSON.stringify(result, null, 2)}\n`);
}

const [first, second] = process.argv.slice(2);
if (first === "--measure") {
  console.log(JSON.stringify(await measure(Number(second))));
  process.exit(0);
}
record(measureInChild(Number(first ?? ROUNDS)));
