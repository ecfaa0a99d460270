/** What the command line may ask of a running cluster. */
import { join } from "node:path";
import type { Client, LiveSnapshotSource } from "#client";
import { InroadError } from "#lib/errors";
import type { ObjectRef } from "#model";
import { serveControl } from "./control.ts";
import type { Membership } from "./membership.ts";
import type { Proxy } from "#path/proxy";
import type { ClusterStatus, Identity, StatusAnswer, ToCluster } from "./messages.ts";
import { faultOrders } from "./fault-orders.ts";
import type { Faults } from "./faults.ts";
import type { ClusterNetwork } from "./network.ts";
import { findPlace, type Place, type Places } from "./places.ts";
import { sendRequest, type Sender } from "./request.ts";
import type { TraceOrder } from "./trace.ts";

export interface OrdersOptions {
  readonly start: Extract<ToCluster, { type: "start" }>;
  readonly client: Client;
  readonly source: LiveSnapshotSource;
  readonly network: ClusterNetwork;
  readonly proxies: ReadonlyMap<string, Proxy>;
  readonly secrets: { readonly identity: Identity };
  readonly status: () => ClusterStatus;
  readonly membership: Membership;
  readonly faults: Faults;
}

/** Serves `/status`, `/place`, `/request`, `/trace` and those of `inroad fault` on the cluster's control socket. */
export function serveOrders(options: OrdersOptions): ReturnType<typeof serveControl> {
  const { start, client, source, network, secrets, status } = options;
  const { config, locations } = start;
  const places = placesOf(options);
  const placeAt = (from: string): Place => findPlace(places, from, config.domain);
  const senderAt = (from: string): Sender => ({
    ...placeAt(from),
    caCertificate: secrets.identity.caCertificate,
  });
  const tracing = {
    client,
    snapshot: () => source.current(),
    balanced: network.balanced,
    proxyMode: config.proxyMode,
    proxies: options.proxies,
    // Nodes come and go.
    get policies() {
      return new Map([...network.nodes].map(([name, { policy }]) => [name, policy] as const));
    },
    faults: () => options.faults.list(),
    locate: ({ kind, namespace, name }: ObjectRef) => locations[`${kind} ${namespace ?? ""}/${name}`],
  };
  return serveControl(join(config.stateDir, "control.sock"), {
    ...faultOrders(options.faults),
    "/status": async () => ({ ...status(), ...(await readProxies(options.proxies)) }),
    "/place": (query) => network.entrance(placeAt(query.get("from") ?? "internet")),
    "/nodes/add": (_, body) => options.membership.add(nodeIn(body)),
    "/nodes/remove": async (_, body) => {
      await options.membership.remove(nodeIn(body) ?? "");
      return {};
    },
    "/request": async (_, body) => {
      const { url, from, ...rest } = requestBody(body);
      const sent = await sendRequest(senderAt(from), { url, ...rest });
      const { accountOf } = await import("#trace");
      const account = accountOf(sent.response?.body ?? "");
      return {
        status: sent.response?.status ?? 0,
        error: sent.error,
        pod: account?.pod,
        node: account?.node,
      };
    },
    "/trace": async (_, body) => {
      const order = requestBody(body);
      const { traceRequest } = await import("./trace.ts");
      return traceRequest(tracing, senderAt(order.from), order);
    },
  });
}

function nodeIn(body: unknown): string | undefined {
  const name: unknown = typeof body === "object" && body !== null ? Reflect.get(body, "node") : undefined;
  return typeof name === "string" ? name : undefined;
}

function requestBody(body: unknown): TraceOrder {
  const given: Partial<TraceOrder> = typeof body === "object" && body !== null ? body : {};
  if (typeof given.url !== "string" || !URL.canParse(given.url)) {
    throw new InroadError("BadRequest", "the request needs a URL");
  }
  const { url, from = "internet", method = "GET", headers = {}, dryRun = false } = given;
  return { url, from, method, headers, dryRun };
}

function placesOf({ network, source }: OrdersOptions): Places {
  return {
    internet: network.internet,
    edge: network.edge,
    node: (name) => network.nodes.get(name)?.ns,
    pod: (namespace, name) => {
      const pod = source.current().pods.get(`${namespace}/${name}`);
      const node = pod?.node === undefined ? undefined : network.nodes.get(pod.node);
      return pod === undefined ? undefined : node?.sandboxes.find(pod.uid)?.ns;
    },
    known: () => [
      ...["internet", "edge", ...[...network.nodes.keys()].map((name) => `node/${name}`)],
      ...[...source.current().pods.keys()].slice(0, 10).map((key) => `pod/${key}`),
    ],
  };
}

/** What only the nodes' rules know. A node that does not tell is left out. */
async function readProxies(
  proxies: OrdersOptions["proxies"],
): Promise<Pick<StatusAnswer, "balance" | "silent">> {
  const read = [...proxies].map(async ([node, proxy]) =>
    (await proxy.fairness().catch(() => [])).map((one) => ({ node, ...one })),
  );
  const silent = [...proxies].flatMap(([node, proxy]) =>
    [...proxy.silent()].map((endpoint) => ({ node, endpoint })),
  );
  return { balance: (await Promise.all(read)).flat().filter(({ connections }) => connections > 0), silent };
}
