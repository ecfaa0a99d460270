import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Transport } from "#client";
import type { KindInfo } from "#kube";
import type { IpFamily } from "#lib/ip";
import type { Log } from "#lib/log";
import { parseRange } from "./address-range.ts";
import { createAuthenticator } from "./auth.ts";
import type { Authentication } from "./auth.ts";
import { bootstrap } from "./bootstrap.ts";
import { startCollector } from "./collector.ts";
import type { Context, User } from "./context.ts";
import { handleRequest } from "./handler.ts";
import { handleHttp } from "./http.ts";
import { createMemoryStore } from "./memory-store.ts";
import { createAllocator } from "./service-allocation.ts";
import type { PortRange } from "./service-allocation.ts";

export interface ApiServerOptions {
  /** Range of cluster addresses of one or both families, the default family first: `10.96.0.0/16`, `fd00:10:96::/112`. */
  readonly serviceCIDRs: readonly string[];
  readonly nodePorts: PortRange;
  readonly kinds: readonly KindInfo[];
  readonly log: Log;
  readonly clock?: () => Date;
  readonly authenticate: Authentication;
  /** Opens connections to nodes and pods, for proxy requests and logs. */
  readonly dial?: (address: string, port: number) => Duplex;
  /** Bearer token that the debug endpoints of nodes and of our own pods ask for. */
  readonly debugToken: string;
  /** Where pods reach this server; makes the Service `kubernetes` and its endpoints. */
  readonly kubernetesEndpoint?: { readonly address: string; readonly port: number };
  /** Open watches at one time, 10,000 unless given. */
  readonly maxWatches?: number;
  /** Changes that watches and paged lists can go back to, 10,000 unless given. */
  readonly historySize?: number;
}

export interface ApiServer {
  /** The API as a function call, for components of this process. */
  transport(user: User): Transport;
  /** Listener of a node:http or node:https server; client certificates need `requestCert: true` there. */
  handle(request: IncomingMessage, response: ServerResponse): void;
  /** Ends all watches and the clean-up after deletions. Requests are answered until the listener closes. */
  close(): void;
}

function serviceFamilies(cidrs: readonly string[]): readonly IpFamily[] {
  const families = cidrs.map((cidr) => parseRange(cidr).family);
  if (families.length > 0 && new Set(families).size === families.length) return families;
  throw new Error(`Service ranges [${cidrs.join(", ")}]: give one range of IPv4, of IPv6, or one of each`);
}

/** An API server with its objects in memory. See README.md of this folder for what it serves. */
export function createApiServer(options: ApiServerOptions): ApiServer {
  const closing = new AbortController();
  const store = createMemoryStore({ historySize: options.historySize ?? 10_000 });
  const context: Context = {
    kinds: options.kinds,
    store,
    allocator: createAllocator(store, serviceFamilies(options.serviceCIDRs), options.nodePorts),
    log: options.log,
    now: options.clock ?? (() => new Date()),
    dial: options.dial,
    debugToken: options.debugToken,
    watches: { open: 0, limit: options.maxWatches ?? 10_000 },
    closing: closing.signal,
  };
  const authenticator = createAuthenticator(options.authenticate);
  bootstrap(context, { serviceCIDRs: options.serviceCIDRs, endpoint: options.kubernetesEndpoint });
  const stopCollector = startCollector(context);

  return {
    transport: () => ({ request: (request) => handleRequest(context, request) }),
    handle: (request, response) => {
      handleHttp(context, authenticator, request, response).catch((error: unknown) => {
        options.log.error("answering a request failed", { error: String(error) });
        response.destroy();
      });
    },
    close: () => {
      closing.abort();
      stopCollector();
    },
  };
}
