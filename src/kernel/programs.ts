/** Where the helper programs are, and which Debian package brings a missing one. */
import { accessSync, constants, existsSync, statSync } from "node:fs";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { InroadError } from "#lib/errors";

const packages: Readonly<Record<string, string>> = {
  ip: "iproute2",
  bridge: "iproute2",
  nft: "nftables",
  "iptables-restore": "iptables",
  "iptables-save": "iptables",
  iptables: "iptables",
  conntrack: "conntrack",
  unshare: "util-linux",
  setpriv: "util-linux",
  mount: "mount",
  curl: "curl",
  pasta: "passt",
  ipvsadm: "ipvsadm",
  ipset: "ipset",
};

/** Ordinary users often lack these in PATH. */
const systemFolders = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin"];

/**
 * The absolute path of a program: looked up in `path` (default PATH) and the system folders; a name with a slash
 * is taken relative to `cwd`.
 * @throws InroadError `MissingProgram`; the mend names the Debian package where it is known.
 */
export function findProgram(
  name: string,
  options: { path?: string | undefined; cwd?: string | undefined } = {},
): string {
  const cwd = options.cwd ?? process.cwd();
  if (name.includes("/")) {
    const path = isAbsolute(name) ? name : resolve(cwd, name);
    if (isExecutable(path)) return path;
    throw missing(name);
  }
  const folders = (options.path ?? process.env["PATH"] ?? "").split(":").filter((folder) => folder !== "");
  for (const folder of [...folders, ...systemFolders]) {
    const path = join(resolve(cwd, folder), name);
    if (isExecutable(path)) return path;
  }
  throw missing(name);
}

const XTABLES_LOCK = "/run/xtables.lock";

/**
 * What a program needs in its environment beside ours. iptables-legacy ends at once if it cannot open the system's lock,
 * and root of a user namespace cannot; what it must not share is its network namespace, so that one is the lock then.
 */
export function environmentFor(name: string): NodeJS.ProcessEnv | undefined {
  if (!/^ip6?tables/.test(name) || process.env["XTABLES_LOCKFILE"] !== undefined) return undefined;
  try {
    if (existsSync(XTABLES_LOCK)) accessSync(XTABLES_LOCK, constants.R_OK);
    else accessSync(dirname(XTABLES_LOCK), constants.W_OK);
    return undefined;
  } catch {
    return { ...process.env, XTABLES_LOCKFILE: "/proc/self/ns/net" };
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function missing(name: string): InroadError {
  const debian = packages[name];
  return new InroadError("MissingProgram", `program not found: ${name}`, {
    mend:
      debian === undefined
        ? `install ${name} or put it into PATH`
        : `apt-get install -y ${debian} (Debian package ${debian})`,
  });
}
