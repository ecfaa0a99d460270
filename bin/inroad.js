#!/usr/bin/env node
// Starts Inroad under a Node that can run it. Plain JavaScript for old Nodes: it must work right after `npm ci`.
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import nodeModule, { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

/** Node 26 brings node:ffi, which Inroad needs to work in network namespaces; the pinned package brings Node 26. */
function suitableNode() {
  if (Number(process.versions.node.split(".")[0]) >= 26) return process.execPath;
  try {
    const manifest = createRequire(import.meta.url).resolve(`node-linux-${process.arch}/package.json`);
    return join(dirname(manifest), "bin", "node");
  } catch {
    return undefined;
  }
}

const node = suitableNode();
if (node === undefined) {
  console.error(
    `inroad: this is Node ${process.versions.node}, and Inroad needs Node 26 or newer.\n` +
      `  The package node-linux-${process.arch} brings it along: run \`npm ci\` without --omit=optional, or install Node 26.`,
  );
  process.exit(2);
}

// Container runtimes start a network plugin by its file's name, without arguments.
const isPlugin = process.env["CNI_COMMAND"] !== undefined && process.argv.length === 2;
const bundle = join(root, "dist", isPlugin ? "cli-cni.js" : "inroad.js");
const source = join(root, "src", "cli", isPlugin ? "cni.ts" : "main.ts");
const main = existsSync(source) ? source : bundle;
const args = ["--disable-warning=ExperimentalWarning", main, ...process.argv.slice(2)];

// Compiled code is kept between runs: start-up is mostly compiling otherwise.
const cache =
  process.env["XDG_CACHE_HOME"] ?? (process.env["HOME"] ? join(process.env["HOME"], ".cache") : undefined);
if (cache !== undefined) process.env["NODE_COMPILE_CACHE"] ??= join(cache, "inroad");

if (node === process.execPath) {
  // This process can go on itself. A command-line option would have kept the warnings away.
  const warn = process.emitWarning;
  process.emitWarning = (warning, ...rest) => {
    if (rest[0] !== "ExperimentalWarning") warn.call(process, warning, ...rest);
  };
  if (process.env["NODE_COMPILE_CACHE"]) nodeModule.enableCompileCache(process.env["NODE_COMPILE_CACHE"]);
  await import(main);
} else if (typeof process.execve === "function") {
  process.execve(node, [node, ...args], process.env);
} else {
  const child = spawn(node, args, { stdio: "inherit" });
  // Ctrl-C and hang-up of a terminal reach the child directly; a second one would cut its clean-up short.
  const atTerminal = [process.stdin, process.stdout, process.stderr].some(({ isTTY }) => isTTY);
  for (const signal of ["SIGINT", "SIGHUP"]) process.on(signal, () => atTerminal || child.kill(signal));
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  child.on("exit", (code, signal) => {
    // 127 may also come from a program that `inroad exec` ran; ask the loader again whether it is this Node.
    if (code === 127 && spawnSync(node, ["--version"]).status === 127) {
      console.error("inroad: Node 26 needs a library: apt-get install -y --no-install-recommends libatomic1");
      process.exit(2);
    }
    if (signal) process.removeAllListeners(signal);
    if (signal) process.kill(process.pid, signal);
    else process.exitCode = code ?? 1;
  });
}
