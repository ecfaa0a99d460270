/**
 * What load balancers ask a node: `/healthz` on port 10256 (KEP-3836), and one port per Service with
 * externalTrafficPolicy Local that tells whether the node has ready endpoints of it (KEP-1669).
 */
import type { Server, ServerResponse } from "node:http";
import { createServer } from "#lib/http";
import { messageOf } from "#lib/errors";
import type { Log } from "#lib/log";
import type { HealthCheck, ProxyPlan } from "./plan.ts";

const HEALTHZ_PORT = 10256;

export interface HealthOptions {
  /** A listening TCP socket on this port of the node. */
  readonly listen: (port: number) => number;
  /** Whether the rules follow the snapshots. */
  readonly healthy: () => boolean;
  /** Whether the node may get new traffic of load balancers. */
  readonly eligible: () => boolean;
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
  ): Server | undefined => {
    try {
      const server = createServer((request, response) => answer(response, request.url ?? "/"));
      server.on("error", (error) => options.log.warn(`health port ${port}: ${messageOf(error)}`));
      return server.listen({ fd: options.listen(port) });
    } catch (error) {
      options.log.warn(`cannot open health port ${port}: ${messageOf(error)}`);
      return undefined;
    }
  };
  const healthz = open(HEALTHZ_PORT, (response, path) => answerHealthz(response, path, options));
  return {
    update(plan) {
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
      const servers = [...checks.values()].map(({ server }) => server);
      if (healthz !== undefined) servers.push(healthz);
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
  answer(response, options.healthy() && (live || nodeEligible), {
    currentTime: new Date().toISOString(),
    ...(live ? {} : { nodeEligible }),
  });
}

function answer(response: ServerResponse, good: boolean, body: object): void {
  response.writeHead(good ? 200 : 503, {
    "Content-Type": "application/json",
    "X-Content-Type-Options": "nosniff",
  });
  response.end(JSON.stringify(body));
}
