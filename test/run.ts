/**
 * Runs the tests and ends with the line `N passed, N failed, N skipped`.
 *
 *   node test/run.ts            everything
 *   node test/run.ts unit net   the named parts
 *
 * Parts: unit (sources, house rules, fuzzers: needs nothing), net (kernel paths with packets; each run lives in
 * namespaces of its own), e2e (the whole product by its command line).
 */
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { pipeline } from "node:stream";

const parts: Record<
  string,
  { files: readonly string[]; sandbox: boolean; concurrency: number; timeout: number }
> = {
  unit: {
    files: ["src/**/*.test.ts", "test/house/*.test.ts", "test/features/*.test.ts", "fuzz/*.test.ts"],
    sandbox: false,
    concurrency: 2,
    timeout: 240_000,
  },
  net: { files: ["test/net/*.test.ts"], sandbox: true, concurrency: 1, timeout: 300_000 },
  e2e: { files: ["test/e2e/*.test.ts"], sandbox: false, concurrency: 1, timeout: 600_000 },
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

function runInSandbox(name: string): Totals {
  const child = spawnSync(
    "unshare",
    [...sandboxArguments(), process.execPath, ...process.execArgv, import.meta.filename, "--inside", name],
    { stdio: ["ignore", "pipe", "inherit"], encoding: "utf8", maxBuffer: 1 << 28 },
  );
  const output = child.stdout ?? "";
  const end = /(\d+) passed, (\d+) failed, (\d+) skipped\n$/.exec(output);
  process.stdout.write(end === null ? output : output.slice(0, end.index));
  if (end === null) {
    console.error(
      `the sandbox for ${name} could not be made or died (unshare: ${child.error?.message ?? `exit ${child.status}`})`,
    );
    return { passed: 0, failed: 1, skipped: 0 };
  }
  return { passed: Number(end[1]), failed: Number(end[2]), skipped: Number(end[3]) };
}

const inside = process.argv[2] === "--inside";
const names = process.argv.slice(inside ? 3 : 2);
const total: Totals = { passed: 0, failed: 0, skipped: 0 };
for (const name of names.length > 0 ? names : Object.keys(parts)) {
  if (!inside) console.log(`\n== ${name}`);
  const totals = parts[name]?.sandbox === true && !inside ? runInSandbox(name) : await runHere(name);
  total.passed += totals.passed;
  total.failed += totals.failed;
  total.skipped += totals.skipped;
}
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(total.failed > 0 || total.passed === 0 ? 1 : 0);
