/** For tests: an ingress on loopback in front of backends on loopback. Their ClusterIP is 127.0.0.1. */
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import type { KubeObject } from "#kube";
import { silentLog } from "#lib/log";
import { compile, type ClusterObjects, type Snapshot, type SnapshotSource } from "#model";
import { startIngress, type Ingress, type IngressOptions } from "./apply.ts";

export interface Backend {
  /** Name of its Service. */
  readonly name: string;
  readonly port: number;
  /** Whether the Service has an endpoint; true if not given. */
  readonly ready?: boolean;
  /** 127.0.0.1 if not given. */
  readonly clusterIP?: string;
}

/** A path of a host that leads to a backend's Service. */
export interface Route {
  readonly host: string;
  readonly path: string;
  readonly backend: string;
  readonly tlsSecret?: string;
}

export function snapshotOf(
  backends: readonly Backend[],
  routes: readonly Route[],
  changes: Partial<ClusterObjects> = {},
): Snapshot {
  return compile(
    {
      nodes: [],
      pods: [ingressPod],
      services: backends.map(serviceOf),
      endpointSlices: backends.filter(({ ready }) => ready ?? true).map(sliceOf),
      ingresses: routes.map((route, index) => ingressOf(route, index, backends)),
      ingressClasses: [
        {
          kind: "IngressClass",
          metadata: {
            name: "inroad",
            annotations: { "ingressclass.kubernetes.io/is-default-class": "true" },
          },
          spec: { controller: "inroad.dev/ingress" },
        },
      ],
      secrets: [],
      namespaces: [{ kind: "Namespace", metadata: { name: "default" } }],
      ...changes,
    },
    { domain: "cluster.local" },
  );
}

export const testPod = { namespace: "inroad-system", name: "inroad-ingress-a" };

const ingressPod: KubeObject = {
  kind: "Pod",
  metadata: { ...testPod, uid: "uid-ingress", labels: { "inroad.dev/component": "ingress" } },
  spec: { nodeName: "node-a", containers: [{ name: "ingress" }] },
  status: { phase: "Running", podIP: "10.244.0.3", conditions: [{ type: "Ready", status: "True" }] },
};

function serviceOf({ name, port, clusterIP = "127.0.0.1" }: Backend): KubeObject {
  return {
    kind: "Service",
    metadata: { name, namespace: "default" },
    spec: {
      type: "ClusterIP",
      clusterIP,
      clusterIPs: [clusterIP],
      selector: { app: name },
      ports: [{ protocol: "TCP", port, targetPort: port }],
    },
  };
}

function sliceOf({ name, port }: Backend): KubeObject {
  return {
    kind: "EndpointSlice",
    metadata: { name: `${name}-1`, namespace: "default", labels: { "kubernetes.io/service-name": name } },
    addressType: "IPv4",
    ports: [{ name: "", port, protocol: "TCP" }],
    endpoints: [
      { addresses: ["10.244.0.9"], conditions: { ready: true, serving: true, terminating: false } },
    ],
  };
}

function ingressOf(route: Route, index: number, backends: readonly Backend[]): KubeObject {
  const number = backends.find(({ name }) => name === route.backend)?.port ?? 80;
  const backend = { service: { name: route.backend, port: { number } } };
  const host = route.host === "" ? {} : { host: route.host };
  return {
    kind: "Ingress",
    metadata: {
      name: `ingress-${index}`,
      namespace: "default",
      creationTimestamp: `2026-01-01T00:00:0${index}Z`,
    },
    spec: {
      ...(route.tlsSecret === undefined
        ? {}
        : { tls: [{ hosts: [route.host], secretName: route.tlsSecret }] }),
      rules: [{ ...host, http: { paths: [{ path: route.path, pathType: "Prefix", backend }] } }],
    },
  };
}

interface ChangingSource extends SnapshotSource {
  set(snapshot: Snapshot): void;
}

function changingSource(first: Snapshot): ChangingSource {
  let current = first;
  return {
    current: () => current,
    subscribe: () => () => undefined,
    set: (snapshot) => {
      current = snapshot;
    },
  };
}

export interface TestIngress extends Ingress {
  readonly http: number;
  readonly https: number;
  readonly debug: number;
  readonly source: ChangingSource;
}

export const testToken = "token-of-the-test";

/** Starts an ingress whose resolver answers 127.0.0.1 for every Service. */
export async function startTestIngress(
  snapshot: Snapshot,
  options: Partial<IngressOptions> & Pick<IngressOptions, "defaultCertificate">,
): Promise<TestIngress> {
  const source = changingSource(snapshot);
  const anyPort = { port: 0, host: "127.0.0.1" };
  const ingress = startIngress({
    source,
    pod: testPod,
    resolve: async (name) => ({ address: "127.0.0.1", ttl: 30, answer: `${name}. 30 IN A 127.0.0.1` }),
    listen: { http: anyPort, https: anyPort },
    debug: { ...anyPort, token: testToken },
    log: silentLog,
    ...options,
  });
  await ingress.ready;
  const { http, https, debug } = ingress.addresses();
  return { ...ingress, source, http: http?.port ?? 0, https: https?.port ?? 0, debug: debug?.port ?? 0 };
}

/** A TCP server on a free port of loopback that hands every connection to `serve`. */
export async function rawBackend(serve: (socket: Socket) => void): Promise<{ port: number; server: Server }> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    serve(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { port: (server.address() as AddressInfo).port, server };
}

export interface RawClient {
  readonly socket: Socket;
  /** Everything received so far, as Latin-1. */
  received(): string;
  /** Waits until what was received satisfies `enough`; rejects when the connection ends before. */
  until(enough: (text: string) => boolean): Promise<string>;
  /** Waits for the end of the connection and gives all that was received. */
  end(): Promise<string>;
}

/** A client that sends bytes as they are. */
export async function rawClient(port: number, first = ""): Promise<RawClient> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const chunks: Buffer[] = [];
  const wake = new Set<() => void>();
  const changed = (): void => wake.forEach((call) => call());
  const ended = Promise.withResolvers<void>();
  let over = false;
  socket.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    changed();
  });
  for (const event of ["end", "close", "error"]) {
    socket.on(event, () => {
      over = true;
      ended.resolve();
      changed();
    });
  }
  await once(socket, "connect");
  if (first !== "") socket.write(first, "latin1");
  const received = (): string => Buffer.concat(chunks).toString("latin1");
  const until = (enough: (text: string) => boolean): Promise<string> =>
    new Promise((resolve, reject) => {
      const check = (): void => {
        const text = received();
        if (!enough(text) && !over) return;
        wake.delete(check);
        if (enough(text)) resolve(text);
        else reject(new Error(`the connection ended after: ${text.slice(0, 500)}`));
      };
      wake.add(check);
      check();
    });
  return {
    socket,
    received,
    until,
    end: async () => {
      await ended.promise;
      socket.destroy();
      return received();
    },
  };
}
