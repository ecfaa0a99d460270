/**
 * Runs the tests and ends with the line `N passed, N failed, N skipped`.
 *
 *   node test/run.ts            everything
 *   node test/run.ts unit net   the named parts
 *
 * Parts: unit (sources, house rules, fuzzers: needs nothing), net (kernel paths with packets; each run lives in
 * namespaces of its own), e2e (the whole product by its command line), vm (kernel paths that need another kernel than this
 * machine's, in a virtual machine).
 */
import { spawn } from "node:child_process";
import { globSync } from "node:fs";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { pipeline } from "node:stream";

interface Part {
  readonly files: readonly string[];
  /** Where the files run: in this process's namespaces, in namespaces of their own, or in a virtual machine. */
  readonly place: "here" | "sandbox" | "machine";
  readonly concurrency: number;
  readonly timeout: number;
}

const parts: Readonly<Record<string, Part>> = {
  unit: {
    files: ["src/**/*.test.ts", "test/house/*.test.ts", "test/features/*.test.ts", "fuzz/*.test.ts"],
    place: "here",
    concurrency: 2,
    timeout: 240_000,
  },
  net: { files: ["test/net/*.test.ts"], place: "sandbox", concurrency: 1, timeout: 120_000 },
  e2e: { files: ["test/e2e/*.test.ts"], place: "here", concurrency: 1, timeout: 600_000 },
  vm: {
    files: ["test/net/proxy-{contract,evidence,ipvs,repair,round-robin,udp}.test.ts", "test/vm/*.test.ts"],
    place: "machine",
    concurrency: 1,
    timeout: 300_000,
  },
};

/** Arguments of unshare(1) that give namespaces of our own with root rights inside them. */
function sandboxArguments(): string[] {
  const user = process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"];
  return [...user, "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
}

interface Totals {
  passed: number;
  failed: number;
  skipped: number;
}

async function runHere(name: string): Promise<Totals> {
  const part = parts[name];
  if (part === undefined)
    throw new Error(`no such part: ${name}; there are: ${Object.keys(parts).join(", ")}`);
  const files = part.files.flatMap((pattern) => globSync(pattern)).toSorted();
  const totals: Totals = { passed: 0, failed: 0, skipped: 0 };
  if (files.length === 0) return totals;
  const events = run({
    files,
    concurrency: part.concurrency,
    timeout: part.timeout,
    // An emulated machine takes seconds to start one more Node.
    ...(part.place === "machine" ? { isolation: "none" as const } : {}),
    execArgv: ["--disable-warning=ExperimentalWarning"],
  });
  events.on("test:summary", (summary) => {
    if (summary.file !== undefined) return;
    totals.passed = summary.counts.passed;
    totals.skipped = summary.counts.skipped + summary.counts.todo;
    totals.failed = summary.counts.tests - totals.passed - totals.skipped;
  });
  const reporter = spec();
  reporter.pipe(process.stdout);
  await new Promise<void>((resolve, reject) => {
    pipeline(events, reporter, (error) => (error ? reject(error) : resolve()));
  });
  // With CI=true nothing may be skipped: a missing kernel ability is a failure there.
  if (process.env["CI"] === "true" && totals.skipped > 0) {
    console.error(`${totals.skipped} skipped in ${name}: not allowed with CI=true`);
    totals.failed += totals.skipped;
    totals.skipped = 0;
  }
  return totals;
}

/** Runs `test/run.ts --inside NAME` elsewhere, shows what it prints, and reads its last line. */
async function runElsewhere(
  where: string,
  start: (print: (text: string) => void) => Promise<string | undefined>,
): Promise<Totals> {
  let lastLine = "";
  const problem = await start((text) => {
    const all = lastLine + text;
    const at = all.lastIndexOf("\n", all.length - 2) + 1;
    process.stdout.write(all.slice(0, at));
    lastLine = all.slice(at);
  });
  const end = /^(\d+) passed, (\d+) failed, (\d+) skipped\n$/.exec(lastLine);
  if (end === null) {
    console.error(`${lastLine}${where} could not be made or died: ${problem}`);
    return { passed: 0, failed: 1, skipped: 0 };
  }
  return { passed: Number(end[1]), failed: Number(end[2]), skipped: Number(end[3]) };
}

function runInSandbox(name: string): Promise<Totals> {
  const command = [process.execPath, ...process.execArgv, import.meta.filename, "--inside", name];
  return runElsewhere(`the sandbox for ${name}`, (print) => {
    const child = spawn("unshare", [...sandboxArguments(), ...command], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    child.stdout.setEncoding("utf8").on("data", print);
    return new Promise((resolve) => {
      child.once("error", (error) => resolve(error.message));
      child.once("close", (code) => resolve(`unshare: exit ${code}`));
    });
  });
}

async function runInVirtualMachine(): Promise<Totals> {
  const { lackOfMachine, runInMachine } = await import("./vm/boot.ts");
  const lack = lackOfMachine();
  if (lack === undefined) return runElsewhere("the virtual machine", runInMachine);
  console.log(`skipped: ${lack}`);
  return process.env["CI"] === "true"
    ? { passed: 0, failed: 1, skipped: 0 }
    : { passed: 0, failed: 0, skipped: 1 };
}

function runPart(name: string): Promise<Totals> {
  const place = inside ? "here" : parts[name]?.place;
  if (place === "machine") return runInVirtualMachine();
  return place === "sandbox" ? runInSandbox(name) : runHere(name);
}

const inside = process.argv[2] === "--inside";
const names = process.argv.slice(inside ? 3 : 2);
const total: Totals = { passed: 0, failed: 0, skipped: 0 };
for (const name of names.length > 0 ? names : Object.keys(parts)) {
  if (!inside) console.log(`\n== ${name}`);
  const totals = await runPart(name);
  total.passed += totals.passed;
  total.failed += totals.failed;
  total.skipped += totals.skipped;
}
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(total.failed > 0 || total.passed === 0 ? 1 : 0);
