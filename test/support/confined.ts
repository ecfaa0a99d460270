/**
 * Programs that may do nothing: no capabilities, no user namespaces (user.max_user_namespaces is 0), no ports below 1024. Where
 * the test runs as root they are uid 65534; otherwise the user that runs the test, under the name of root.
 */
import { spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import type { Readable, Writable } from "node:stream";

export const nobody = 65534;

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/** Root of the namespace forbids all in it to have another, and becomes somebody who can do nothing. */
const forbid = "echo 0 > /proc/sys/user/max_user_namespaces || exit 1; exec setpriv ";
const powerless = '--bounding-set -all --inh-caps -all --no-new-privs "$@"';
const asNobody = `${forbid} --reuid ${nobody} --regid ${nobody} --clear-groups ${powerless}`;

/** Who is there before the users are mapped is nobody yet, and becomes root by the next program. */
const waitForMap = 'echo here; read _ || exit 1; exec sh -c "$0" sh "$@"';

/** Starts a program so; its output can be read. */
export async function spawnConfined(command: readonly string[], env: NodeJS.ProcessEnv): Promise<Child> {
  const options = { env, stdio: ["pipe", "pipe", "pipe"] as ["pipe", "pipe", "pipe"] };
  if (process.getuid?.() !== 0) {
    const own = ["--user", "--map-root-user", "sh", "-c", `${forbid} ${powerless}`, "sh", ...command];
    return spawn("unshare", own, options);
  }
  const child: Child = spawn("unshare", ["--user", "sh", "-c", waitForMap, asNobody, ...command], options);
  await once(child.stdout, "data");
  for (const map of ["uid_map", "gid_map"]) writeFileSync(`/proc/${child.pid}/${map}`, "0 0 65536");
  child.stdin.end("\n");
  return child;
}
