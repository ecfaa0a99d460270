/** Talks to a running cluster through the Unix socket in its state directory. */
import { join } from "node:path";
import { request } from "#lib/http";
import { InroadError, codeOf } from "#lib/errors";
import { livingOwner, stateDir } from "./state.ts";

/** Asks the cluster; the answer is JSON. Fails with `NotRunning` when there is no such cluster. */
export async function ask<T>(name: string, path: string, body?: unknown): Promise<T> {
  const directory = stateDir(name);
  if (livingOwner(directory) === undefined) throw notRunning(name);
  const { status, text } = await send(join(directory, "control.sock"), path, body).catch((error: unknown) => {
    if (["ENOENT", "ECONNREFUSED"].includes(codeOf(error) ?? "")) {
      throw new InroadError("NotReady", `cluster "${name}" is not ready yet`, { exitStatus: 1 });
    }
    throw error;
  });
  const answer = JSON.parse(text);
  if (status === 200) return answer;
  throw new InroadError(answer.code ?? "Failed", answer.message ?? `the cluster answered ${status}`, {
    where: answer.where,
    mend: answer.mend,
    exitStatus: answer.exitStatus ?? 1,
  });
}

/** The error for a verb that needs a running cluster. */
function notRunning(name: string): InroadError {
  return new InroadError("NotRunning", `no cluster "${name}" is up`, {
    mend: `start one: inroad up${name === "default" ? "" : ` --name ${name}`} -f PATH`,
    exitStatus: 1,
  });
}

function send(socketPath: string, path: string, body: unknown): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { socketPath, path, method: body === undefined ? "GET" : "POST", headers: { host: "control" } },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on("data", (chunk: Buffer) => chunks.push(chunk));
        answer.on("end", () =>
          resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString() }),
        );
        answer.on("error", reject);
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
