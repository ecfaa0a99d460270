/** Runs the part `vm` of the tests inside a virtual machine, emulated by QEMU: it needs neither KVM nor root. */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { messageOf } from "#lib/errors";
import { findProgram } from "../../src/kernel/programs.ts";
import { writeArchive } from "./cpio.ts";
import { emptyFolders, guestFiles } from "./image.ts";

/** The longest life of a virtual machine. */
const TIMEOUT_MS = 900_000;

const kernel =
  process.env["INROAD_VM_KERNEL"] ??
  join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "inroad/vm-kernel");

/** Why no virtual machine can be started here; undefined if it can. */
export function lackOfMachine(): string | undefined {
  if (process.arch !== "x64")
    return `the guest is an x86-64 machine with this one's programs, and this is ${process.arch}`;
  try {
    for (const program of ["qemu-system-x86_64", "ipvsadm", "modprobe"]) findProgram(program);
  } catch (error) {
    return `${messageOf(error)}; test/vm/setup.sh installs it`;
  }
  return existsSync(join(kernel, "vmlinuz"))
    ? undefined
    : `no kernel in ${kernel}: test/vm/setup.sh fetches it`;
}

/**
 * Boots the guest, passes what its tests print to `print` as it comes, and returns when the guest is off: what its kernel
 * said last if it did not switch itself off. The machine dies with this process.
 */
export async function runInMachine(print: (text: string) => void): Promise<string | undefined> {
  const folder = mkdtempSync(join(tmpdir(), "inroad-vm-"));
  try {
    writeArchive(join(folder, "initramfs"), guestFiles(kernel), emptyFolders);
    const image = openSync(join(folder, "initramfs"), "r");
    const log = openSync(join(folder, "console"), "w+", 0o600);
    // The open files are enough: so nothing is left behind, however this process ends.
    rmSync(folder, { recursive: true });
    await boot(image, log, print);
    const said = readFileSync(log, "utf8");
    return said.includes("Power down") ? undefined : `its kernel's last words:\n${said.slice(-4000)}`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function boot(image: number, log: number, print: (text: string) => void): Promise<void> {
  // One processor: with two, Node dies now and then of its own code, which one of them writes while the other one runs it.
  const machine = ["-accel", "tcg,thread=single", "-cpu", "max", "-smp", "1", "-m", "1536"];
  const devices = ["-nodefaults", "-display", "none", "-serial", "file:/proc/self/fd/4", "-serial", "stdio"];
  const start = ["-no-reboot", "-kernel", join(kernel, "vmlinuz"), "-initrd", "/proc/self/fd/3"];
  const append = ["-append", "console=ttyS0 loglevel=5 panic=-1 random.trust_cpu=on"];
  const command = [findProgram("qemu-system-x86_64"), ...machine, ...devices, ...start, ...append];
  return new Promise((resolve, reject) => {
    const child = spawn("setpriv", ["--pdeathsig", "KILL", ...command], {
      stdio: ["ignore", "pipe", "inherit", image, log],
      timeout: TIMEOUT_MS,
      killSignal: "SIGKILL",
    });
    child.stdout?.setEncoding("utf8").on("data", print);
    child.once("error", reject);
    child.once("close", () => resolve());
  });
}
