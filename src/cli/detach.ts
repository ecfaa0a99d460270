import { spawn } from "node:child_process";
import { InroadError } from "#lib/errors";

interface FromDetached {
  readonly ready: string;
}

/** Starts the same command in the background, without --detach; returns 0 when its cluster is ready. */
export function startDetached(name: string): Promise<number> {
  const args = process.argv.slice(1).filter((argument) => argument !== "--detach");
  const child = spawn(process.execPath, [...process.execArgv, ...args], {
    detached: true,
    stdio: ["inherit", "ignore", "pipe", "ipc"],
  });
  // Not inherited: it would keep our caller's pipe open for as long as the cluster lives.
  child.stderr?.on("data", (chunk: Buffer) => process.stderr.write(chunk));
  return new Promise((resolve, reject) => {
    child.once("message", (message: FromDetached) => {
      console.log(message.ready);
      console.log(`  inroad down${name === "default" ? "" : ` --name ${name}`}   # takes it down`);
      child.stderr?.destroy();
      child.unref();
      resolve(0);
    });
    child.once("error", reject);
    child.once("close", (code) => {
      if (code === null)
        reject(new InroadError("ClusterDied", "the cluster was killed while it started", { exitStatus: 1 }));
      else resolve(code);
    });
  });
}
