/** What the other nodes' processes ask this one: whether it may be relied upon. And its metrics. */
import type { Server } from "node:http";
import { createServer } from "#lib/http";
import { metricsType } from "#lib/metrics";

export interface PeerPortOptions {
  /** A listening TCP socket. */
  readonly fd: number;
  /** Why others must not count on this process; undefined if they may. */
  readonly problem: () => string | undefined;
  readonly metrics: () => string;
}

/** Far more than a cluster has nodes; whoever opens more waits. */
const MAX_CONNECTIONS = 2000;

/** `/healthz` answers 200 or 503, `/metrics` in Prometheus' text format. Returns how to end it. */
export function startPeerPort({ fd, problem, metrics }: PeerPortOptions): () => void {
  const server: Server = createServer((request, response) => {
    response.setHeader("Connection", "close");
    if (request.url === "/metrics") {
      response.writeHead(200, { "Content-Type": metricsType }).end(metrics());
      return;
    }
    const reason = request.url === "/healthz" ? problem() : undefined;
    const status = request.url === "/healthz" ? (reason === undefined ? 200 : 503) : 404;
    response.writeHead(status, { "Content-Type": "text/plain" }).end(reason ?? "ok");
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.listen({ fd });
  return () => {
    server.close();
    server.closeAllConnections();
  };
}
