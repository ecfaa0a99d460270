/** A component for pod-lifecycle.test.ts: answers with its data and the addresses it sees. */
import { createServer } from "node:http";
import { networkInterfaces } from "node:os";
import { parentPort } from "node:worker_threads";
import { awaitAssignment } from "#kernel/thread";
import type { ComponentMessage } from "#path/pod";

const data = await awaitAssignment();
const say = (message: ComponentMessage): void => parentPort?.postMessage(message);
const server = createServer((request, response) => {
  if (request.url === "/crash") throw new Error("asked to crash");
  const sees = Object.values(networkInterfaces()).flatMap((list) =>
    (list ?? [])
      .filter(({ internal, family }) => !internal && family === "IPv4")
      .map(({ address }) => address),
  );
  response.end(JSON.stringify({ ...(data as object), sees }));
});
server.listen(8080, () => say({ kind: "ready", ready: true }));
parentPort?.on("message", () => process.exit(0));
