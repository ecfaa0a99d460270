/** What this machine can do: programs, namespaces, kernel parts. Every lack comes with the command that mends it. */
import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { Command } from "commander";
import { InroadError, messageOf } from "#lib/errors";
import { outputOption } from "./options.ts";

interface Check {
  readonly name: string;
  readonly ok: boolean;
  /** A missing optional part costs a feature, not the cluster. */
  readonly required: boolean;
  readonly detail: string;
  readonly mend?: string;
}

interface Program {
  readonly name: string;
  readonly package: string;
  /** What is lost without it; undefined when nothing works without it. */
  readonly without?: string;
}

const programs: readonly Program[] = [
  { name: "unshare", package: "util-linux" },
  { name: "nsenter", package: "util-linux" },
  { name: "setpriv", package: "util-linux" },
  { name: "ip", package: "iproute2" },
  { name: "nft", package: "nftables" },
  { name: "conntrack", package: "conntrack" },
  { name: "iptables-restore", package: "iptables", without: "--proxy-mode iptables" },
  { name: "ipvsadm", package: "ipvsadm", without: "--proxy-mode ipvs" },
  { name: "pasta", package: "passt", without: "pods reaching the internet when not root" },
  { name: "curl", package: "curl", without: "inroad curl" },
];

interface KernelProbe {
  readonly name: string;
  readonly script: string;
  readonly mend: string;
  /** What is lost without it; undefined when nothing works without it. */
  readonly without?: string;
}

/** Kernel parts, each shown by a command that needs it, run in namespaces of its own. */
const kernelProbes: readonly KernelProbe[] = [
  {
    name: "virtual links and VXLAN",
    script:
      "ip link add name a type veth peer name b && ip link add name v type vxlan id 1 dev a dstport 8472 nolearning",
    mend: "the kernel lacks veth or vxlan: load the modules as root (modprobe veth vxlan)",
  },
  {
    name: "nftables with NAT and round robin",
    script:
      "echo 'table ip t { chain c { type nat hook output priority -100; ip daddr 192.0.2.1 dnat to numgen inc mod 2 map { 0 : 192.0.2.2, 1 : 192.0.2.3 }; }; }' | nft -f -",
    mend: "the kernel lacks nf_tables NAT or numgen: load the modules as root (modprobe nf_tables nft_nat nft_numgen)",
  },
  {
    name: "connection tracking",
    script: "conntrack -L",
    mend: "the kernel lacks nf_conntrack_netlink: load it as root (modprobe nf_conntrack_netlink)",
  },
];

/** Asked only where ipvsadm is installed. The kernel lets nobody but the machine's root have virtual servers. */
const ipvsProbe: KernelProbe = {
  name: "IPVS",
  script:
    'said=$(ipvsadm --save 2>&1) || { echo "$said" | grep initialize >&2; exit 1; }; ip link add name d type dummy',
  mend:
    "IPVS mode needs real root, and a kernel with IPVS and dummy devices: load them (modprobe ip_vs ip_vs_rr dummy);" +
    " where the kernel was built without CONFIG_IP_VS, take --proxy-mode nftables",
  without: "--proxy-mode ipvs",
};

export function doctorCommand(): Command {
  return new Command("doctor")
    .description("say what this machine lacks and how to mend it")
    .addOption(outputOption(["text", "json"]))
    .action(({ output }: { output: string }) => {
      const checks = diagnose();
      const good = checks.every(({ ok, required }) => ok || !required);
      if (output === "json") {
        console.log(
          JSON.stringify({ apiVersion: "inroad.dev/v1", kind: "Diagnosis", ok: good, checks }, null, 2),
        );
      } else {
        for (const check of checks) console.log(describe(check));
        console.log(good ? "this machine can run Inroad" : "this machine cannot run Inroad yet");
      }
      process.exitCode = good ? 0 : 2;
    });
}

function describe({ name, ok, required, detail, mend }: Check): string {
  const mark = ok ? "ok     " : required ? "MISSING" : "absent ";
  return `${mark}  ${name}: ${detail}${mend === undefined ? "" : `\n         ${mend}`}`;
}

function diagnose(): Check[] {
  const checks = [nodeCheck(), ...programs.map(programCheck)];
  const space = namespaceCheck();
  checks.push(space);
  if (!space.ok) return checks;
  checks.push(...kernelProbes.map(kernelCheck));
  if (findProgram("ipvsadm") !== undefined) checks.push(kernelCheck(ipvsProbe));
  return checks;
}

function nodeCheck(): Check {
  const ok = Number(process.versions.node.split(".")[0]) >= 26;
  return { name: "node", ok, required: true, detail: process.versions.node };
}

function programCheck(program: Program): Check {
  const path = findProgram(program.name);
  const required = program.without === undefined;
  if (path !== undefined) return { name: program.name, ok: true, required, detail: path };
  const detail = required ? "not found" : `not found; without it: no ${program.without}`;
  return { name: program.name, ok: false, required, detail, mend: installLine([program.package]) };
}

const withoutThem = "do without them: inroad up --proxy-mode userspace";

function namespaceCheck(): Check {
  const probe = probeKernel("true");
  const root = process.getuid?.() === 0;
  const name = root ? "namespaces (as root)" : "unprivileged user namespaces";
  if (probe === undefined) return { name, ok: true, required: true, detail: "permitted" };
  return {
    name,
    ok: false,
    required: true,
    detail: probe,
    mend: root
      ? `this looks like a container without CAP_SYS_ADMIN: run it privileged, or ${withoutThem}`
      : "as root: sysctl -w kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000" +
        ` kernel.apparmor_restrict_unprivileged_userns=0 (those that exist), or run Inroad as root, or ${withoutThem}`,
  };
}

function kernelCheck({ name, script, mend, without }: KernelProbe): Check {
  const problem = probeKernel(script);
  const required = without === undefined;
  if (problem === undefined) return { name, ok: true, required, detail: "works" };
  const detail = required ? problem : `${problem}; without it: no ${without}`;
  return { name, ok: false, required, detail, mend };
}

/** Runs a fixed script in fresh namespaces. Returns the last line of its complaint, or undefined when it worked. */
function probeKernel(script: string): string | undefined {
  const user = process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"];
  const args = [...user, "--net", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-ec", script];
  const result = spawnSync("unshare", args, { encoding: "utf8", env: searchEnvironment() });
  if (result.error !== undefined) return messageOf(result.error);
  return result.status === 0
    ? undefined
    : (result.stderr.trim().split("\n").at(-1) ?? `exit status ${result.status}`);
}

/** The environment with the directories of system programs in PATH, which ordinary users often lack. */
function searchEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: [process.env["PATH"] ?? "", "/usr/sbin", "/sbin"].join(delimiter) };
}

function findProgram(name: string): string | undefined {
  const directories = searchEnvironment()["PATH"]?.split(delimiter) ?? [];
  return directories.map((directory) => join(directory, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function installLine(packages: readonly string[]): string {
  const sudo = process.getuid?.() === 0 ? "" : "sudo ";
  return `${sudo}apt-get install -y --no-install-recommends ${packages.join(" ")}`;
}

/** The quick part before a cluster starts: fails with exit status 2 and the command that installs what is missing. */
export function preflight(proxyMode: string): void {
  // Without namespaces only mapped commands need a program (setpriv), and say so when they start.
  if (proxyMode === "userspace") return;
  requirePrograms(programs.filter(({ without }) => without === undefined));
  requireMode(proxyMode);
}

/** Programs that only one kind of rules needs. */
const modePrograms: Readonly<Record<string, string>> = { iptables: "iptables-restore", ipvs: "ipvsadm" };

/** As `preflight`, for what rules of this kind need; says why this kernel cannot have them. */
export function requireMode(proxyMode: string): void {
  requirePrograms(programs.filter(({ name }) => name === modePrograms[proxyMode]));
  const lack = proxyMode === "ipvs" ? probeKernel(ipvsProbe.script) : undefined;
  if (lack !== undefined) {
    throw new InroadError("NoIpvs", `no IPVS here: ${lack}`, { mend: ipvsProbe.mend });
  }
}

function requirePrograms(needed: readonly Program[]): void {
  const missing = needed.filter(({ name }) => findProgram(name) === undefined);
  if (missing.length === 0) return;
  throw new InroadError("MissingProgram", `not found: ${missing.map(({ name }) => name).join(", ")}`, {
    mend: installLine([...new Set(missing.map((program) => program.package))]),
  });
}
