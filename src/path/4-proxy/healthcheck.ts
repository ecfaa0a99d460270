/**
 * What load balancers ask a node: `/healthz` on port 10256 (KEP-3836), and one port per Service with
 * externalTrafficPolicy Local that tells whether the node has ready endpoints of it (KEP-1669).
 */
import type { Server, ServerResponse } from "node:http";
import { createServer } from "#lib/http";
import { messageOf } from "#lib/errors";
import type { Log } from "#lib/log";
import { metricsType } from "#lib/metrics";
import type { ProxyMetrics } from "./metrics.ts";
import type { HealthCheck, ProxyPlan } from "./plan.ts";

const HEALTHZ_PORT = 10256;

/** kube-proxy's, for metrics; on loopback only. */
const METRICS_PORT = 10249;

export interface HealthOptions {
  /** A listening TCP socket on this port of the node, or of its loopback address. */
  readonly listen: (port: number, where: "node" | "loopback") => number;
  /** Whether the rules follow the snapshots. */
  readonly healthy: () => boolean;
  /** Whether the node may get new traffic of load balancers. */
  readonly eligible: () => boolean;
  readonly mode: string;
  readonly metrics: Pick<ProxyMetrics, "probed">;
  /** All metrics as they are now. */
  readonly readMetrics: () => Promise<string>;
  readonly log: Log;
}

export interface HealthServers {
  /** Opens and closes ports and sets the answers. A port that cannot be opened is logged and tried again next time. */
  update(plan: ProxyPlan): void;
  close(): Promise<void>;
}

export function startHealthServers(options: HealthOptions): HealthServers {
  const checks = new Map<number, { server: Server; check: HealthCheck }>();
  const open = (
    port: number,
    answer: (response: ServerResponse, path: string) => void,
    where: "node" | "loopback" = "node",
  ): Server | undefined => {
    try {
      const server = createServer((request, response) => answer(response, request.url ?? "/"));
      server.on("error", (error) => options.log.warn(`health port ${port}: ${messageOf(error)}`));
      return server.listen({ fd: options.listen(port, where) });
    } catch (error) {
      options.log.warn(`cannot open health port ${port}: ${messageOf(error)}`);
      return undefined;
    }
  };
  const own = [
    open(HEALTHZ_PORT, (response, path) => answerHealthz(response, path, options)),
    open(METRICS_PORT, (response, path) => answerMetrics(response, path, options), "loopback"),
  ];
  let closed = false;
  return {
    update(plan) {
      // The last plan may still be on its way into force.
      if (closed) return;
      const wanted = new Map(plan.healthChecks.map((check) => [check.port, check]));
      for (const [port, { server }] of checks) {
        if (wanted.has(port)) continue;
        void endServer(server);
        checks.delete(port);
      }
      for (const [port, check] of wanted) {
        const known = checks.get(port);
        if (known !== undefined) {
          known.check = check;
          continue;
        }
        const server = open(port, (response) => {
          const current = checks.get(port);
          if (current !== undefined) answerCheck(response, current.check, options.healthy());
        });
        if (server !== undefined) checks.set(port, { server, check });
      }
    },
    async close() {
      closed = true;
      const servers = [...checks.values()].map(({ server }) => server);
      servers.push(...own.filter((server) => server !== undefined));
      checks.clear();
      await Promise.all(servers.map(endServer));
    },
  };
}

function endServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

function answerCheck(response: ServerResponse, check: HealthCheck, healthy: boolean): void {
  const { namespace, name, localEndpoints } = check;
  response.setHeader("X-Load-Balancing-Endpoint-Weight", String(localEndpoints));
  answer(response, localEndpoints > 0 && healthy, {
    service: { namespace, name },
    localEndpoints,
    serviceProxyHealthy: healthy,
  });
}

/** `/livez` leaves out whether the node is eligible. */
function answerHealthz(response: ServerResponse, path: string, options: HealthOptions): void {
  const live = path.startsWith("/livez");
  if (!live && !path.startsWith("/healthz")) {
    response.writeHead(404).end();
    return;
  }
  const nodeEligible = options.eligible();
  const good = options.healthy() && (live || nodeEligible);
  options.metrics.probed(live ? "livez" : "healthz", statusOf(good));
  answer(response, good, { currentTime: new Date().toISOString(), ...(live ? {} : { nodeEligible }) });
}

/** As kube-proxy has them: `/metrics` and `/proxyMode`. */
function answerMetrics(response: ServerResponse, path: string, { mode, readMetrics }: HealthOptions): void {
  if (path === "/metrics") {
    readMetrics().then(
      (text) => response.writeHead(200, { "Content-Type": metricsType }).end(text),
      () => response.writeHead(503).end(),
    );
  } else if (path === "/proxyMode") response.writeHead(200, { "Content-Type": "text/plain" }).end(mode);
  else response.writeHead(404).end();
}

function statusOf(good: boolean): 200 | 503 {
  return good ? 200 : 503;
}

function answer(response: ServerResponse, good: boolean, body: object): void {
  response.writeHead(statusOf(good), {
    "Content-Type": "application/json",
    "X-Content-Type-Options": "nosniff",
  });
  response.end(JSON.stringify(body));
}
