/** What users get: the package, packed from a copy of the tree and installed in an empty folder elsewhere. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, delimiter, join, relative } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";

const execute = promisify(execFile);
const root = join(import.meta.dirname, "../..");
const manifest: { name: string; version: string } = JSON.parse(
  readFileSync(join(root, "package.json"), "utf8"),
);
const maxPackedKiB = 500;

describe("the published package", { timeout: 120_000 }, () => {
  const directory = mkdtempSync(join(tmpdir(), "inroad-package-"));
  const tree = join(directory, "tree");
  const place = join(directory, "place");
  const installed = join(place, "node_modules", manifest.name);
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    XDG_RUNTIME_DIR: directory,
    XDG_CACHE_HOME: join(directory, "cache"),
    NO_COLOR: "1",
    // The tools of this tree are not there for users; the machine's own Node is.
    PATH: (process.env["PATH"] ?? "")
      .split(delimiter)
      .filter((entry) => !entry.endsWith("node_modules/.bin"))
      .join(delimiter),
  };
  // `npm test` hands its own idea of the project to every npm below it.
  delete env["npm_config_local_prefix"];
  let tarball = "";

  /** Runs a program of the user in the folder with the installed package; rejects unless it exits with 0. */
  const run = async (file: string, ...args: readonly string[]): Promise<string> =>
    (await execute(file, args, { cwd: place, env, timeout: 90_000 })).stdout;

  before(async () => {
    const left = new Set(["node_modules", ".git", "dist"]);
    cpSync(root, tree, { recursive: true, filter: (path) => !left.has(relative(root, path)) });
    symlinkSync(join(root, "node_modules"), join(tree, "node_modules"));
    const { stdout } = await execute("npm", ["pack", "--json", "--pack-destination", directory], {
      cwd: tree,
      env,
    });
    const [packed]: { filename: string }[] = JSON.parse(stdout);
    tarball = join(directory, packed?.filename ?? "");
    mkdirSync(place);
    writeFileSync(join(place, "package.json"), '{ "private": true }');
    const quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error"];
    await run("npm", "install", ...quiet, tarball);
  });

  after(async () => {
    const launcher = join(installed, "bin", "inroad.js");
    if (existsSync(launcher)) await run(process.execPath, launcher, "down", "--name", "package");
    rmSync(directory, { recursive: true, force: true });
  });

  const files = (): string[] =>
    readdirSync(installed, { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map((entry) => relative(installed, join(entry.parentPath, entry.name)));

  test("it holds the launcher, bundles, examples and papers, and nothing else", () => {
    const expected =
      /^(bin\/inroad\.js|dist\/[\w-]+\.js|examples\/[\w./-]+\.(yaml|conflist)|package\.json|README\.md|LICENSE|CHANGELOG\.md)$/;
    assert.deepEqual(
      files().filter((file) => !expected.test(file)),
      [],
    );
    for (const needed of [
      "bin/inroad.js",
      "dist/inroad.js",
      "dist/cluster-main.js",
      "dist/cli-cni.js",
      "LICENSE",
    ])
      assert.ok(files().includes(needed), needed);
  });

  test("no file of it holds a private key or a path of the machine that packed it", () => {
    const telling = files().filter((file) => {
      const text = readFileSync(join(installed, file), "utf8");
      return text.includes("PRIVATE KEY") || text.includes(tree) || text.includes(root);
    });
    assert.deepEqual(telling, []);
  });

  test(`it weighs less than ${maxPackedKiB} KiB`, (t) => {
    const size = Math.ceil(statSync(tarball).size / 1024);
    t.diagnostic(`${basename(tarball)}: ${size} KiB`);
    assert.ok(size < maxPackedKiB, `${size} KiB`);
  });

  test("npx inroad --version says the version of package.json", async () => {
    assert.equal(await run("npx", "inroad", "--version"), `${manifest.version}\n`);
  });

  test("npx inroad doctor finds that this machine can run it", async () => {
    assert.match(await run("npx", "inroad", "doctor"), /this machine can run Inroad\n$/);
  });

  for (const node of new Set([process.execPath, "/usr/bin/node"].filter(existsSync))) {
    test(`started by ${node}, it runs under Node 26 or newer`, async (t) => {
      t.diagnostic(`${node} is ${(await run(node, "--version")).trim()}`);
      const diagnosis: { checks: { name: string; detail: string }[] } = JSON.parse(
        await run(node, join("node_modules", ".bin", "inroad"), "doctor", "-o", "json"),
      );
      const version = diagnosis.checks.find(({ name }) => name === "node")?.detail ?? "";
      assert.ok(Number(version.split(".")[0]) >= 26, version);
    });
  }

  test("a container runtime that starts it by a link is answered as by a CNI plugin", async () => {
    const plugin = join(directory, "plugin");
    symlinkSync(join(installed, "bin", "inroad.js"), plugin);
    const answer = execute(plugin, [], { cwd: place, env: { ...env, CNI_COMMAND: "VERSION" } });
    answer.child.stdin?.end('{ "cniVersion": "1.1.0" }');
    assert.match((await answer).stdout, /"supportedVersions":\["0\.3\.1"/);
  });

  test("the example that it ships with comes up, delivers a request and goes down", async () => {
    const example = join("node_modules", manifest.name, "examples", "hadywafa");
    const options = ["--once", "--publish", "none", "--name", "package"];
    const shown = await run(
      "npx",
      ...["inroad", "up", "-f", example, ...options, "--show", "https://api.hadywafa.com/"],
    );
    assert.match(shown, /delivered: HTTP 200 from pod default\/api-/);
    assert.equal(existsSync(join(directory, "inroad", "package")), false);
  });
});
