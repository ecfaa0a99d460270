import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { test } from "node:test";

/**
 * Which part may import which. A part is the first folder under src, hops one by one.
 * A hop never imports a hop: hops meet in the model, in the kernel and on the wire.
 */
const base = ["lib", "kube", "wire", "model", "client", "kernel", "serve"];
const hops = ["load-balancer", "ingress", "service", "proxy", "node", "pod"].map((name) => `path/${name}`);
const allowed: Record<string, readonly string[]> = {
  lib: [],
  kube: ["lib"],
  wire: ["lib"],
  model: ["lib", "kube"],
  client: ["lib", "kube", "model"],
  kernel: ["lib"],
  serve: ["lib", "wire"],
  api: ["lib", "kube", "client"],
  controllers: ["lib", "kube", "model", "client"],
  ...Object.fromEntries(hops.map((hop) => [hop, base])),
  path: ["lib", "model", ...hops],
  trace: ["lib", "kube", "wire", "model", "path"],
  cluster: [...base, "api", "controllers", "path", "trace", ...hops],
  cli: [...base, "api", "controllers", "path", "trace", "cluster", ...hops],
};

interface Import {
  readonly file: string;
  readonly specifier: string;
  readonly target: string | undefined;
}

const doors: Record<string, string> = JSON.parse(readFileSync("package.json", "utf8")).imports;

/** The part a source file belongs to: `src/path/4-proxy/plan.ts` is `path/proxy`. */
function partOf(file: string): string {
  const [, folder = "", second = ""] = file.split("/");
  const hop = /^\d-(.+)$/.exec(second)?.[1];
  return folder === "path" && hop !== undefined ? `path/${hop}` : folder;
}

/** The file an import leads to, relative to the project; undefined for packages and Node's own modules. */
function resolveImport(file: string, specifier: string): string | undefined {
  if (specifier.startsWith(".")) return relative(".", join(dirname(file), specifier));
  if (!specifier.startsWith("#")) return undefined;
  if (doors[specifier] !== undefined) return doors[specifier].slice(2);
  for (const [door, target] of Object.entries(doors)) {
    const prefix = door.endsWith("*") ? door.slice(0, -1) : undefined;
    if (prefix !== undefined && specifier.startsWith(prefix)) {
      return target.slice(2).replace("*", specifier.slice(prefix.length));
    }
  }
  return undefined;
}

function importsOf(file: string): Import[] {
  const text = readFileSync(file, "utf8");
  return [
    ...text.matchAll(
      /(?:^|\n)\s*(?:import|export)[^;"']*?from\s+["']([^"']+)["']|import\(\s*["']([^"']+)["']\s*\)/g,
    ),
  ]
    .map((match) => match[1] ?? match[2] ?? "")
    .map((specifier) => ({ file, specifier, target: resolveImport(file, specifier) }));
}

const sources = globSync("src/**/*.ts").filter((file) => !file.endsWith(".test.ts"));
const imports = sources.flatMap(importsOf);

test("the rule sees the imports of this project", () => {
  assert.ok(imports.some(({ specifier }) => specifier.startsWith("#")));
  assert.equal(partOf("src/path/4-proxy/nftables/render.ts"), "path/proxy");
});

test("a part imports only the parts below it", () => {
  const wrong = imports.filter(({ file, target }) => {
    if (target === undefined) return false;
    const [from, to] = [partOf(file), partOf(target)];
    return from !== to && !(allowed[from] ?? []).includes(to);
  });
  assert.deepEqual(
    wrong.map(({ file, specifier }) => `${file} imports ${specifier}`),
    [],
  );
});

test("parts are entered by their doors only", () => {
  const wrong = imports.filter(
    ({ file, specifier, target }) =>
      target !== undefined && partOf(file) !== partOf(target) && specifier.startsWith("."),
  );
  assert.deepEqual(
    wrong.map(({ file, specifier }) => `${file} imports ${specifier}`),
    [],
  );
});

test("only src/kernel and the supervisor of src/cli start programs or call into libc", () => {
  const wrong = imports.filter(
    ({ file, specifier }) =>
      ["node:child_process", "node:ffi"].includes(specifier) &&
      !["kernel", "cli"].includes(partOf(file)) &&
      !isTypeOnly(file, specifier),
  );
  assert.deepEqual(
    wrong.map(({ file, specifier }) => `${file} imports ${specifier}`),
    [],
  );
});

function isTypeOnly(file: string, specifier: string): boolean {
  return new RegExp(`import type [^;]*["']${specifier}["']`).test(readFileSync(file, "utf8"));
}

test("every hop has a README, a door and an explanation", () => {
  const folders = globSync("src/path/[1-6]-*");
  assert.equal(folders.length, 6);
  const missing = folders.flatMap((folder) =>
    ["README.md", "index.ts", "explain.ts"]
      .map((name) => join(folder, name))
      .filter((file) => globSync(file).length === 0),
  );
  assert.deepEqual(missing, []);
});

test("node:http is used through #lib/http, which loads less", () => {
  const wrong = imports.filter(
    ({ file, specifier }) => specifier === "node:http" && !isTypeOnly(file, specifier),
  );
  assert.deepEqual(
    wrong.map(({ file }) => file),
    [],
  );
});
