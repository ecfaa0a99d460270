/** NetworkPolicies and Services together, over the overlay, with each kind of Service rules. */
import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { after, afterEach, before, describe, test } from "node:test";
import { homeNetNs, tcpConnect } from "#kernel";
import type { NetNs } from "#kernel";
import { silentLog } from "#lib/log";
import type { Snapshot } from "#model";
import { startProxy } from "#path/proxy";
import type { Proxy } from "#path/proxy";
import { policy } from "../support/policy-world.ts";
import { podOf, resource, startWorld } from "./pod-fixture.ts";
import type { PodWorld } from "./pod-fixture.ts";

const CLUSTER_IP = "10.96.0.50";
const NODE_PORT = 30_080;
const services = resource("v1", "Service");
const endpointSlices = resource("discovery.k8s.io/v1", "EndpointSlice");
const networkPolicies = resource("networking.k8s.io/v1", "NetworkPolicy");
const api = { podSelector: { matchLabels: { app: "api" } } };
const ofClient = { podSelector: { matchLabels: { app: "client" } } };

for (const mode of ["nftables", "iptables"] as const) {
  describe(`policies and Services by ${mode}`, () => {
    let world: PodWorld;
    let proxies: Proxy[] = [];
    const pods = new Map<string, { readonly ns: NetNs; readonly address: string }>();

    before(async () => {
      world = await startWorld({});
      proxies = ["node-a", "node-b"].map((node) =>
        startProxy({ source: world.source, node, netns: world.node(node).ns, mode, log: silentLog }),
      );
      const labels = { app: "api" };
      await world.create(podOf("api-a", {}, {}, { labels }));
      await world.create(podOf("api-b", {}, { nodeName: "node-b" }, { labels }));
      await world.create(podOf("client"));
      await world.create(podOf("stranger"));
      for (const name of ["api-a", "api-b", "client", "stranger"]) {
        const { pod } = await world.ready(name);
        const found = world.node(pod.spec?.nodeName ?? "").sandboxes.find(pod.metadata?.uid ?? "");
        assert.ok(found);
        pods.set(name, found);
      }
      await addService("api", CLUSTER_IP, [at("api-a").address, at("api-b").address], NODE_PORT);
    });
    afterEach(() => removePolicies());
    after(async () => {
      await Promise.all(proxies.map((proxy) => proxy.close()));
      await world.close();
    });

    const at = (name: string): { readonly ns: NetNs; readonly address: string } => {
      const found = pods.get(name);
      assert.ok(found, name);
      return found;
    };

    /** A snapshot of which this is true is in force on both nodes. */
    const inForce = async (holds: (snapshot: Snapshot) => boolean): Promise<void> => {
      const { promise: seen, resolve } = Promise.withResolvers<void>();
      const look = (snapshot: Snapshot): void => {
        if (holds(snapshot)) resolve();
      };
      const unsubscribe = world.source.subscribe(look);
      look(world.source.current());
      await seen;
      unsubscribe();
      const snapshot = world.source.current();
      const planes = ["node-a", "node-b"].map((node) => world.node(node).policy.programmed(snapshot));
      await Promise.all([...planes, ...proxies.map((proxy) => proxy.programmed(snapshot))]);
    };

    const addService = async (
      name: string,
      clusterIP: string,
      ends: string[],
      port?: number,
    ): Promise<void> => {
      await world.apply(services, serviceObject(name, clusterIP, port));
      await world.apply(endpointSlices, sliceObject(name, ends));
      const count = (all: Snapshot["services"]) => all.get(`default/${name}`)?.ports[0]?.endpoints.length;
      await inForce((snapshot) => count(snapshot.services) === ends.length);
    };

    const apply = async (...policies: readonly ReturnType<typeof policy>[]): Promise<void> => {
      for (const one of policies) await world.apply(networkPolicies, one);
      const keys = policies.map(({ metadata }) => `default/${metadata?.name ?? ""}`);
      await inForce((snapshot) => keys.every((key) => snapshot.policies.has(key)));
    };

    const removePolicies = async (): Promise<void> => {
      const { items } = await world.client.list(networkPolicies);
      for (const { metadata } of items) {
        await world.client.delete(networkPolicies, metadata?.name ?? "", "default");
      }
      await inForce(({ policies }) => policies.size === 0);
    };

    /** The pod that answers a connection. */
    const answerTo = (socket: Socket): Promise<string> =>
      new Promise<string>((resolve, reject) => {
        let text = "";
        socket.on("connect", () => socket.write("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
        socket.on("data", (bytes) => (text += bytes.toString()));
        socket.on("close", () => resolve(/"pod":"([^"]*)"/.exec(text)?.[1] ?? "no answer"));
        socket.on("error", reject);
      });

    /** The pod that answers one connection, or `kept back on NODE`. Not to be called twice at a time. */
    const ask = async (from: NetNs, address = CLUSTER_IP, port = 80): Promise<string> => {
      const before = new Set(await allDenied());
      const socket = tcpConnect(from, address, port);
      const answer = answerTo(socket);
      const denial = async (): Promise<string> => {
        for (;;) {
          const fresh = (await allDenied()).find((one) => !before.has(one));
          if (fresh !== undefined) return `kept back on ${fresh.split(" ")[0]}`;
          if (socket.destroyed) return answer;
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      };
      const end = await Promise.race([answer, denial()]);
      socket.destroy();
      return end;
    };

    /** What each node recorded as kept back, beginning with the node's name. */
    const allDenied = async (): Promise<string[]> => {
      const read = ["node-a", "node-b"].map(async (node) =>
        (await world.node(node).policy.denied()).map((one) => `${node} ${JSON.stringify(one)}`),
      );
      return (await Promise.all(read)).flat();
    };

    const askTwice = async (from: NetNs): Promise<string[]> => [await ask(from), await ask(from)].sort();

    test("pods are what policies see of a Service: its clients on this side, its pods and their ports on that", async () => {
      await apply(
        policy("default/api", { ...api, ingress: [{ from: [ofClient], ports: [{ port: 8080 }] }] }),
        policy("default/client", {
          ...ofClient,
          policyTypes: ["Egress"],
          egress: [{ to: [api], ports: [{ port: 8080 }] }],
        }),
      );
      assert.deepEqual(await askTwice(at("client").ns), ["api-a", "api-b"]);
      assert.deepEqual(await askTwice(at("stranger").ns), ["kept back on node-a", "kept back on node-b"]);
    });

    test("the Service's own port and address mean nothing to policies", async () => {
      await apply(policy("default/api", { ...api, ingress: [{ ports: [{ port: 80 }] }] }));
      assert.deepEqual(await askTwice(at("client").ns), ["kept back on node-a", "kept back on node-b"]);
      await removePolicies();
      const egress = [{ to: [{ ipBlock: { cidr: `${CLUSTER_IP}/32` } }] }];
      await apply(policy("default/client", { ...ofClient, policyTypes: ["Egress"], egress }));
      assert.deepEqual(await askTwice(at("client").ns), ["kept back on node-a", "kept back on node-a"]);
    });

    test("a Service without endpoints refuses, whatever policies would say", async () => {
      await addService("idle", "10.96.0.52", []);
      await apply(policy("default/client", { ...ofClient, policyTypes: ["Egress"] }));
      await assert.rejects(ask(at("client").ns, "10.96.0.52"), { code: "ECONNREFUSED" });
    });

    test("an isolated pod meets itself through its Service", async () => {
      await addService("self", "10.96.0.51", [at("api-a").address]);
      await apply(policy("default/api", { ...api, policyTypes: ["Ingress", "Egress"] }));
      assert.equal(await ask(at("api-a").ns, "10.96.0.51"), "api-a");
      assert.equal(await ask(at("client").ns, "10.96.0.51"), "kept back on node-a");
    });

    test("through a NodePort, the pod's own node knows the client, another node its colleague's tunnel end", async () => {
      const allow = (name: string, cidr: string) =>
        policy(`default/${name}`, { ...api, ingress: [{ from: [{ ipBlock: { cidr } }] }] });
      const askNodePort = async (): Promise<string[]> => {
        const first = await ask(homeNetNs(), "172.30.0.11", NODE_PORT);
        return [first, await ask(homeNetNs(), "172.30.0.11", NODE_PORT)].sort();
      };
      await apply(allow("client", "172.30.0.1/32"));
      assert.deepEqual(await askNodePort(), ["api-a", "kept back on node-b"]);
      await apply(allow("tunnel", "10.244.0.0/32"));
      assert.deepEqual(await askNodePort(), ["api-a", "api-b"]);
    });

    test("one client that is kept back does not make an endpoint silent for the others", async () => {
      await apply(policy("default/api", { ...api, ingress: [{ from: [ofClient] }] }));
      const attempts = Array.from({ length: 4 }, () => tcpConnect(at("stranger").ns, CLUSTER_IP, 80));
      for (const socket of attempts) socket.on("error", () => undefined);
      // Longer than it takes to suspect and to probe.
      await new Promise((resolve) => setTimeout(resolve, 1200));
      const remote = `${at("api-b").address}:8080`;
      assert.ok(!proxies.some((proxy) => proxy.silent().has(remote)));
      // Not by `ask`: the stranger's repeated SYNs are recorded meanwhile.
      const answers: string[] = [];
      for (let i = 0; i < 4; i++) answers.push(await answerTo(tcpConnect(at("client").ns, CLUSTER_IP, 80)));
      assert.ok(answers.includes("api-b"), answers.join());
      for (const socket of attempts) socket.destroy();
    });
  });
}

function serviceObject(name: string, clusterIP: string, nodePort?: number) {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: "default" },
    spec: {
      type: nodePort === undefined ? "ClusterIP" : "NodePort",
      clusterIP,
      ports: [{ port: 80, targetPort: 8080, ...(nodePort === undefined ? {} : { nodePort }) }],
    },
  };
}

function sliceObject(service: string, addresses: readonly string[]) {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      name: `${service}-1`,
      namespace: "default",
      labels: { "kubernetes.io/service-name": service },
    },
    addressType: "IPv4",
    ports: [{ name: "", port: 8080, protocol: "TCP" }],
    endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true } })),
  };
}
