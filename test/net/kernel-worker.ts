/** Script of a Worker for kernel-sockets.test.ts: tells which addresses it sees, crashes when told to. */
import { networkInterfaces } from "node:os";
import { parentPort } from "node:worker_threads";
import { awaitAssignment } from "#kernel/thread";

const data = await awaitAssignment();
const addresses = (networkInterfaces()["eth0"] ?? []).flatMap(({ family, address }) =>
  family === "IPv4" ? [address] : [],
);
parentPort?.on("message", () => {
  throw new Error("told to crash");
});
parentPort?.postMessage({ data, addresses });
