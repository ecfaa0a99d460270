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
  const errors: Buffer[] = [];
  child.stderr?.on("data", (chunk: Buffer) => errors.push(chunk));
  return new Promise((resolve, reject) => {
    child.once("message", (message: FromDetached) => {
      console.log(message.ready);
      console.log(`  inroad down${name === "default" ? "" : ` --name ${name}`}   # takes it down`);
      child.stderr?.destroy();
      child.unref();
      resolve(0);
    });
    child.once("error", reject);
    child.once("exit", (code) => {
      process.stderr.write(Buffer.concat(errors));
      if (code === null)
        reject(new InroadError("ClusterDied", "the cluster was killed while it started", { exitStatus: 1 }));
      else resolve(code);
    });
  });
}
