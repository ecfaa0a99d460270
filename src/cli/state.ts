/**
 * Where a cluster keeps its files, and who owns it: one directory per name, mode 0700, holding
 * `pid` (the supervisor: pid and start time), `control.sock`, `kubeconfig`, `ca.crt`, `log`.
 */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  closeSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InroadError, codeOf } from "#lib/errors";

const clusterName = /^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/;

/** The directory that holds all clusters of this user. */
function stateRoot(env: NodeJS.ProcessEnv = process.env): string {
  if (env["XDG_RUNTIME_DIR"] !== undefined && existsSync(env["XDG_RUNTIME_DIR"])) {
    return join(env["XDG_RUNTIME_DIR"], "inroad");
  }
  const uid = process.getuid?.() ?? 0;
  return uid === 0 ? "/run/inroad" : join(tmpdir(), `inroad-${uid}`);
}

/** The directory of one cluster. Throws for a name that is not a DNS label of at most 32 characters. */
export function stateDir(name: string): string {
  if (!clusterName.test(name)) {
    throw new InroadError("InvalidName", `"${name}" is not a cluster name`, {
      where: "--name",
      mend: "use lower-case letters, digits and dashes, at most 32 characters",
    });
  }
  return join(stateRoot(), name);
}

interface Owner {
  readonly pid: number;
  /** Clock ticks since boot at which the process started: tells it from a later one with the same pid. */
  readonly startTime: string;
}

/** Start time of a process in clock ticks since boot; undefined when it is gone or a zombie. */
export function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

/** The living supervisor of a cluster, if there is one. */
export function livingOwner(directory: string): number | undefined {
  try {
    const owner: Owner = JSON.parse(readFileSync(join(directory, "pid"), "utf8"));
    return startTimeOf(owner.pid) === owner.startTime ? owner.pid : undefined;
  } catch {
    return undefined;
  }
}

/** The cluster's first process (PID 1 of its own PID namespace) as the host sees it. */
export function firstProcess(directory: string): number | undefined {
  const owner = livingOwner(directory);
  const launcher =
    owner === undefined ? undefined : childrenOf(owner).find(({ command }) => command === "unshare");
  return launcher === undefined ? undefined : childrenOf(launcher.pid)[0]?.pid;
}

function childrenOf(parent: number): { pid: number; command: string }[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, "utf8");
        const end = stat.lastIndexOf(")");
        const command = stat.slice(stat.indexOf("(") + 1, end);
        return Number(stat.slice(end + 2).split(" ")[1]) === parent ? [{ pid: Number(name), command }] : [];
      } catch {
        return [];
      }
    });
}

/**
 * Takes a cluster's directory for this process. A directory whose owner is dead is cleaned first.
 * Fails with `AlreadyRunning` when a living process owns it: `open` with O_EXCL decides between two that start at once.
 */
export function claim(name: string): string {
  const directory = stateDir(name);
  secureDirectory(stateRoot());
  const owner = livingOwner(directory);
  if (owner !== undefined) {
    throw new InroadError("AlreadyRunning", `cluster "${name}" is already up (pid ${owner})`, {
      mend: `run \`inroad down --name ${name}\` first, or choose another --name`,
    });
  }
  rmSync(directory, { recursive: true, force: true });
  secureDirectory(directory);
  try {
    const file = openSync(join(directory, "pid"), "wx", 0o600);
    writeSync(file, JSON.stringify({ pid: process.pid, startTime: startTimeOf(process.pid) }));
    closeSync(file);
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
    throw new InroadError("AlreadyRunning", `cluster "${name}" is being started by another process`, {
      mend: "wait for it, or choose another --name",
    });
  }
  return directory;
}

/** Makes a directory that only we can enter; refuses one that somebody else put there (links, foreign owners). */
function secureDirectory(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const info = lstatSync(directory);
  if (!info.isDirectory() || info.uid !== process.getuid?.()) {
    throw new InroadError("UnsafeDirectory", `${directory} is not a directory of ours`, {
      mend: "remove it, or set XDG_RUNTIME_DIR to a directory that you own",
    });
  }
}

/** Removes what a cluster left in the file system. */
export function release(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
}
