/** Script of a Worker for kernel-sockets.test.ts: tells which addresses it sees, crashes when told to. */
import { networkInterfaces } from "node:os";
import { parentPort, workerData } from "node:worker_threads";
import { enterNetNs } from "#kernel";
import type { WorkerData } from "#kernel";

const { ns, data } = workerData as WorkerData;
if (ns !== undefined) enterNetNs(ns);
const addresses = (networkInterfaces()["eth0"] ?? []).flatMap(({ family, address }) =>
  family === "IPv4" ? [address] : [],
);
parentPort?.on("message", () => {
  throw new Error("told to crash");
});
parentPort?.postMessage({ data, addresses });
