/** The cluster process, PID 1 of its own namespaces: takes its orders and its sockets from the supervisor over IPC. */
import { Socket as UdpSocket } from "node:dgram";
import { Server } from "node:net";
import { InroadError, messageOf } from "#lib/errors";
import { createLog } from "#lib/log";
import { homeNetNs } from "#kernel";
import { startCluster, type Cluster } from "./cluster.ts";
import type { FromCluster, Identity, ToCluster } from "./messages.ts";
import { createHostDns } from "./host-dns.ts";
import { createHostSide } from "./host-side.ts";

const tell = (message: FromCluster): void => {
  if (process.connected) process.send?.(message);
};
const log = createLog("inroad", (line) => tell({ type: "log", line }));
const hostDns = createHostDns(tell);
const host = createHostSide({
  dns: hostDns,
  requestCertificate: (hosts) => tell({ type: "issue", hosts }),
});
const identity = Promise.withResolvers<Identity>();
let cluster: Promise<Cluster> | undefined;

/** Without its supervisor a cluster has no reason to live; the end of PID 1 ends every process in here. */
process.on("disconnect", () => process.exit(1));
// Signals for the supervisor's terminal reach us too; it decides when we stop.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);
process.on("uncaughtException", (error) => fail(error));
process.on("unhandledRejection", (error) => fail(error));

tell({ type: "booted", home: homeNetNs().fd });
process.on("message", (message: ToCluster, handle: unknown) => {
  switch (message.type) {
    case "start":
      cluster = startCluster(message, { host, identity: identity.promise, log });
      cluster.then((running) => tell({ type: "ready", summary: running.status() })).catch(fail);
      return;
    case "identity":
      return identity.resolve(message.identity);
    case "ingress-certificate":
      return host.certificateIssued(message);
    case "api-listener":
      return handle instanceof Server ? host.offerApi(handle) : undefined;
    case "publish-listener":
      return handle instanceof Server ? host.offerPort(message.port, handle) : undefined;
    case "dns-socket":
      return handle instanceof UdpSocket ? host.offerDns(handle) : undefined;
    case "dns-tcp-answer":
      return hostDns.answered(message.id, message.reply);
    case "egress":
      return host.offerEgress(message.link);
    case "stop":
      stop().catch(fail);
  }
});

async function stop(): Promise<void> {
  await (await cluster)?.stop();
  process.exit(0);
}

/** A defect or a missing ability ends the cluster, said aloud; nothing is left half-working. */
function fail(error: unknown): void {
  log.error(messageOf(error), error instanceof Error ? { stack: error.stack } : {});
  const known = error instanceof InroadError;
  tell({
    type: "failed",
    code: known ? error.code : "Defect",
    message: messageOf(error),
    ...(known && error.mend !== undefined ? { mend: error.mend } : {}),
  });
  setImmediate(() => process.exit(1));
}
