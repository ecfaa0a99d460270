/**
 * `npm run build`: bundles the sources into dist, which is what the published package runs, since Node strips no types
 * under node_modules. Own modules are joined and `#` imports resolved away; packages stay outside, and what is imported
 * lazily stays lazy. All files are flat in dist: `src/lib/entry.ts` finds them beside its own chunk.
 */
import { readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { join } from "node:path";
import { build, type OutputChunk } from "rolldown";
import { bundleName } from "../src/lib/entry.ts";

/** Files that processes and Workers start from, relative to src. */
const started = [
  "cli/cni",
  "cluster/main",
  "cluster/workers/ingress",
  "cluster/workers/dns",
  "kernel/nft-thread",
];

const root = join(import.meta.dirname, "..");
const manifest: { dependencies: Record<string, string> } = JSON.parse(
  readFileSync(join(root, "package.json"), "utf8"),
);

const { output } = await build({
  cwd: root,
  input: {
    inroad: "src/cli/main.ts",
    ...Object.fromEntries(started.map((path) => [bundleName(path), `src/${path}.ts`])),
  },
  platform: "node",
  external: (specifier) => /^[^./#]/.test(specifier),
  output: {
    dir: "dist",
    cleanDir: true,
    format: "esm",
    entryFileNames: "[name].js",
    chunkFileNames: "chunk-[name]-[hash].js",
  },
  onLog: (_level, log) => {
    throw new Error(`rolldown: ${log.message}`);
  },
});

const chunks = output.filter((file): file is OutputChunk => file.type === "chunk");
const files = new Set(chunks.map(({ fileName }) => fileName));

/** What the bundle imports and an installed package would not find. */
const missing = chunks
  .flatMap((chunk) => [...chunk.imports, ...chunk.dynamicImports])
  .filter((specifier) => !files.has(specifier) && !isBuiltin(specifier) && !isDependency(specifier));
if (missing.length > 0) throw new Error(`not among the dependencies: ${[...new Set(missing)].join(", ")}`);

const size = chunks.reduce((sum, { code }) => sum + Buffer.byteLength(code), 0);
console.error(`dist: ${chunks.length} files, ${Math.ceil(size / 1024)} KiB`);

function isDependency(specifier: string): boolean {
  return Object.keys(manifest.dependencies).some(
    (name) => specifier === name || specifier.startsWith(`${name}/`),
  );
}
