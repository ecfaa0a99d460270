/**
 * `npm run bench:dns [-- --names N --rate Q --seconds S --rounds R --servers a,b --install-peers --out FILE]`: one name server on
 * one core, dnsperf on another, 100,000 names, beside Debian's dnsmasq, unbound and knot with the same names.
 *
 * For each server: processor time per answer and latency at a fixed rate, then the same with as many queries as it takes. Processor time
 * is that of the server's process (user and system, all threads); latency is what dnsperf measures for each query. A sample of
 * answers is verified before anything is counted, and every answer that dnsperf gets must be NOERROR. Rounds go over all servers in turn; medians are reported.
 */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, release, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { queryFor, socketCarrier } from "#serve/dns";
import { decodeMessage } from "#wire/dns";
import { benchNames, type BenchName } from "./dns-names.ts";
import { servers, type BenchServer } from "./dns-peers.ts";

const { values: options } = parseArgs({
  options: {
    names: { type: "string", default: "100000" },
    rate: { type: "string", default: "20000" },
    seconds: { type: "string", default: "10" },
    rounds: { type: "string", default: "3" },
    servers: { type: "string", default: servers.map(({ name }) => name).join(",") },
    "install-peers": { type: "boolean", default: false },
    out: { type: "string", default: "bench/results/dns.json" },
  },
});
const SERVER_CORE = "0";
const CLIENT_CORE = "1";
const SAMPLE = 500;

const names = benchNames(Number(options.names));
const chosen = servers.filter(({ name }) => options.servers.split(",").includes(name));
const folder = mkdtempSync(join(tmpdir(), "inroad-bench-dns-"));
const queries = join(folder, "queries");

interface Load {
  readonly answersPerSecond: number;
  readonly lost: number;
  readonly cpuMicrosecondsPerAnswer: number;
  readonly latencyMicroseconds: { readonly p50: number; readonly p99: number };
}

interface Round {
  readonly atRate: Load;
  readonly saturated: Load;
  readonly residentMiB: number;
}

function requirePrograms(): void {
  const needed = [{ program: "dnsperf", debian: "dnsperf" }, ...chosen];
  const missing = needed.flatMap(({ program, debian }) =>
    debian !== undefined && spawnSync("sh", ["-c", 'command -v "$1"', "sh", program]).status !== 0
      ? [debian]
      : [],
  );
  if (missing.length === 0) return;
  const install = ["install", "-y", "--no-install-recommends", ...missing];
  if (!options["install-peers"]) {
    console.error(`missing: ${missing.join(", ")}\n  apt-get ${install.join(" ")}, or --install-peers`);
    process.exit(2);
  }
  const { status } = spawnSync("apt-get", install, {
    stdio: "inherit",
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  });
  if (status !== 0) process.exit(2);
}

/** Every name once, in an order that no server knows. */
function writeQueries(): void {
  const order = names.map(({ name }) => name);
  let seed = 1;
  for (let i = order.length - 1; i > 0; i--) {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    const j = seed % (i + 1);
    [order[i], order[j]] = [order[j] ?? "", order[i] ?? ""];
  }
  writeFileSync(queries, `${order.map((name) => `${name} A`).join("\n")}\n`);
}

async function freePort(): Promise<number> {
  const socket = createSocket("udp4").bind(0, "127.0.0.1");
  await once(socket, "listening");
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return port;
}

async function start(server: BenchServer, port: number): Promise<ChildProcess> {
  const own = mkdtempSync(join(folder, `${server.name}-`));
  const args = server.prepare(own, port, names);
  const ours = server.debian === undefined;
  const child = spawn("taskset", ["-c", SERVER_CORE, server.program, ...args], {
    stdio: ["ignore", "ignore", "inherit", ...(ours ? (["ipc"] as const) : [])],
  });
  const ended = once(child, "exit").then(() => {
    throw new Error(`${server.name} ended`);
  });
  await Promise.race([ended, untilAnswered(port)]);
  ended.catch(() => undefined);
  return child;
}

/** Loading 100,000 names takes some of them a while. */
async function untilAnswered(port: number): Promise<void> {
  for (const deadline = Date.now() + 60_000; Date.now() < deadline;) {
    const [last] = names.slice(-1);
    if (last !== undefined && (await addressOf(port, last)) === last.address) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("the server does not answer");
}

async function addressOf(port: number, { name }: BenchName): Promise<string | undefined> {
  const carry = socketCarrier({ timeoutMs: 1000 });
  try {
    const reply = await carry({ address: "127.0.0.1", port }, queryFor({ name, type: "A" }), "udp");
    const [record] = decodeMessage(reply).answers;
    return record?.type === "A" ? record.address : undefined;
  } catch {
    return undefined;
  }
}

/** Answers first: a server that answers wrongly is not measured. */
async function verify(server: BenchServer, port: number): Promise<void> {
  const step = Math.max(1, Math.floor(names.length / SAMPLE));
  for (let i = 0; i < names.length; i += step) {
    const wanted = names[i];
    if (wanted === undefined) continue;
    const got = await addressOf(port, wanted);
    if (got !== wanted.address) throw new Error(`${server.name} answers ${got} for ${wanted.name}`);
  }
}

/** User and system time of a process, all threads, in microseconds; clock ticks are 10 ms on Linux. */
function cpuMicroseconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

function load(pid: number, port: number, limit: readonly string[]): Load {
  const before = cpuMicroseconds(pid);
  const { stdout, status } = spawnSync(
    "taskset",
    [
      "-c",
      CLIENT_CORE,
      "dnsperf",
      "-s",
      "127.0.0.1",
      "-p",
      String(port),
      "-d",
      queries,
      "-l",
      options.seconds,
      "-c",
      "8",
      "-T",
      "1",
      "-v",
      ...limit,
    ],
    { encoding: "utf8", maxBuffer: 2 ** 31 - 1 },
  );
  const cpu = cpuMicroseconds(pid) - before;
  if (status !== 0) throw new Error(`dnsperf ended with ${status}: ${stdout.slice(-500)}`);
  return readReport(stdout, cpu);
}

/** `> NOERROR NAME A 0.000123` for each query, then a summary. */
function readReport(text: string, cpu: number): Load {
  const latencies: number[] = [];
  for (const line of text.split("\n")) {
    if (!line.startsWith("> ")) continue;
    const [, code, , , seconds] = line.split(" ");
    if (code === "T") continue;
    if (code !== "NOERROR") throw new Error(`an answer is not NOERROR: ${line}`);
    latencies.push(Number(seconds) * 1e6);
  }
  latencies.sort((a, b) => a - b);
  const number = (label: string): number =>
    Number(new RegExp(`${label}:\\s+([\\d.]+)`).exec(text)?.[1] ?? Number.NaN);
  const completed = number("Queries completed");
  return {
    answersPerSecond: Math.round(number("Queries per second")),
    lost: number("Queries lost"),
    cpuMicrosecondsPerAnswer: cpu / completed,
    latencyMicroseconds: { p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99) },
  };
}

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

async function measure(server: BenchServer): Promise<Round> {
  const port = await freePort();
  const child = await start(server, port);
  try {
    const pid = child.pid ?? 0;
    await verify(server, port);
    load(pid, port, ["-q", "50", "-Q", options.rate]);
    const atRate = load(pid, port, ["-q", "200", "-Q", options.rate]);
    const saturated = load(pid, port, ["-q", "200"]);
    const residentMiB =
      Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024;
    return { atRate, saturated, residentMiB };
  } finally {
    child.kill("SIGKILL");
    await once(child, "exit");
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return Math.round((sorted[Math.floor(sorted.length / 2)] ?? Number.NaN) * 100) / 100;
}

function summarize(loads: readonly Load[]) {
  return {
    answersPerSecond: median(loads.map((each) => each.answersPerSecond)),
    lost: Math.max(...loads.map(({ lost }) => lost)),
    cpuMicrosecondsPerAnswer: median(loads.map((each) => each.cpuMicrosecondsPerAnswer)),
    latencyMicroseconds: {
      p50: median(loads.map((each) => each.latencyMicroseconds.p50)),
      p99: median(loads.map((each) => each.latencyMicroseconds.p99)),
    },
  };
}

requirePrograms();
writeQueries();
try {
  const rounds = new Map<string, Round[]>(chosen.map(({ name }) => [name, []]));
  for (let round = 0; round < Number(options.rounds); round++) {
    for (const server of chosen) {
      const result = await measure(server);
      rounds.get(server.name)?.push(result);
      console.log(`round ${round + 1} ${server.name}: ${JSON.stringify(result)}`);
    }
  }
  const rows = chosen.map((server) => {
    const all = rounds.get(server.name) ?? [];
    return {
      server: server.name,
      version: server.version(),
      atRate: summarize(all.map(({ atRate }) => atRate)),
      saturated: summarize(all.map(({ saturated }) => saturated)),
      residentMiB: median(all.map(({ residentMiB }) => residentMiB)),
    };
  });
  const result = {
    machine: `${cpus().length} x ${cpus()[0]?.model}, Linux ${release()}`,
    commit: spawnSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).stdout.trim(),
    dnsperf: /Version (\S+)/.exec(spawnSync("dnsperf", ["-h"], { encoding: "utf8" }).stdout)?.[1],
    names: names.length,
    rate: Number(options.rate),
    seconds: Number(options.seconds),
    rounds: Number(options.rounds),
    rows,
  };
  mkdirSync("bench/results", { recursive: true });
  writeFileSync(options.out, `${JSON.stringify(result, undefined, 2)}\n`);
  console.table(
    Object.fromEntries(
      rows.map(({ server, atRate, saturated }) => [
        server,
        {
          [`us/answer at ${options.rate}/s`]: atRate.cpuMicrosecondsPerAnswer,
          "p99 us": atRate.latencyMicroseconds.p99,
          "answers/s at most": saturated.answersPerSecond,
          "us/answer then": saturated.cpuMicrosecondsPerAnswer,
        },
      ]),
    ),
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
