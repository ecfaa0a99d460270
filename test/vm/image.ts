/**
 * What the guest's file system is made of: this project, the host's own programs with their libraries, and the network
 * modules of the guest's kernel.
 */
import { execFileSync } from "node:child_process";
import { globSync, readFileSync, realpathSync } from "node:fs";
import { basename, join } from "node:path";
import { findProgram } from "../../src/kernel/programs.ts";

const programs = [
  ..."sh stty mount modprobe grep head unshare nsenter setpriv".split(" "),
  ..."ip nft iptables iptables-save iptables-restore conntrack ipvsadm".split(" "),
];

const modules = [
  "kernel/{net,lib,crypto,arch/x86/crypto}/**/*.ko",
  "kernel/drivers/net/{dummy,veth}.ko",
  "kernel/drivers/net/vxlan/vxlan.ko",
];

/** Where the kernel mounts something. */
export const emptyFolders = ["proc", "sys", "dev", "tmp"];

/**
 * Files of the guest by their paths.
 * @param kernel the folder that `test/vm/setup.sh` made.
 * @throws InroadError `MissingProgram` where a program is not installed.
 */
export function guestFiles(kernel: string): ReadonlyMap<string, string> {
  return new Map([
    ["init", "test/vm/guest.sh"],
    ...projectFiles(),
    ...programFiles(),
    ...moduleFiles(kernel),
  ]);
}

function projectFiles(): readonly (readonly [string, string])[] {
  const manifest: { dependencies: Record<string, string> } = JSON.parse(readFileSync("package.json", "utf8"));
  const libraries = Object.keys(manifest.dependencies).map(
    (name) => `node_modules/${name}/**/*.{js,json,mjs,cjs}`,
  );
  return globSync([
    "package.json",
    "bin/*.js",
    "{src,test}/**/*.{ts,json}",
    "examples/**/*.yaml",
    ...libraries,
  ]).map((file) => [join("inroad", file), file]);
}

/** Programs lie in /bin, libraries where the dynamic linker looks for them. */
function programFiles(): readonly (readonly [string, string])[] {
  const found = programs.map((name) => [name, realpathSync(findProgram(name))] as const);
  const all = [...found, ["node", realpathSync(process.execPath)] as const];
  return [
    ...all.map(([name, path]) => [`bin/${name}`, path] as const),
    ...all.flatMap(([, path]) => librariesOf(path)).map((path) => [path.slice(1), path] as const),
    ...globSync("/usr/lib/*/xtables/lib*.so").map((path) => [path.slice(1), path] as const),
  ];
}

function librariesOf(program: string): readonly string[] {
  const text = execFileSync("ldd", [program], { encoding: "utf8" });
  return [...text.matchAll(/(?:=> |^\s*)(\/\S+) \(0x/gm)].map(([, path = ""]) => path);
}

function moduleFiles(kernel: string): readonly (readonly [string, string])[] {
  const [folder = ""] = globSync(join(kernel, "lib/modules/*"));
  const files = [...modules, "modules.*"].flatMap((pattern) => globSync(join(folder, pattern)));
  return files.map((file) => [join("lib/modules", basename(folder), file.slice(folder.length + 1)), file]);
}
