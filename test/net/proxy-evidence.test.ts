/** What is told of the rules agrees with what packets meet, in every mode. */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { conntrack, tcpConnect } from "#kernel";
import type { NetNs } from "#kernel";
import type { Flow, Place } from "#model";
import { chosenEndpoint, explain, listFor, rememberedKey } from "#path/proxy";
import { ADDRESSES, CLUSTER_IP, NODE, VIP, api, pod } from "../../src/path/4-proxy/contract.ts";
import { ask, everyMode, lab, labModes, nameIn } from "./proxy-lab.ts";

const CLIENT = ADDRESSES.client.IPv4;
const place: Place = { at: "proxy", node: "node-a", from: "outside" };
const weighted = [pod("pod-1", { weight: 2 })];
const LIST = "default/api:http/TCP";
const three = [pod("pod-1"), pod("pod-2"), pod("pod-3")];

for (const mode of everyMode) {
  describe(`evidence by ${mode}`, () => {
    test("what explain() predicts is what the packet does, to the endpoint whose turn it is", async (t) => {
      const at = await lab(t, mode, [api(three)]);
      const destinations = [
        [CLUSTER_IP, 80],
        [NODE, 30080],
        [VIP, 80],
        [VIP, 80],
      ] as const;
      for (const [index, [address, port]] of destinations.entries()) {
        const rotation = await at.proxy.rotation([LIST]);
        const source = { address: CLIENT, port: 41_000 + index };
        const flow: Flow = { protocol: "TCP", source, destination: { address, port } };
        const told = explain(at.source.current(), place, flow, { mode: labModes[mode].mode, rotation });
        const decision = told.steps[0]?.decision;
        const answer = await ask(at.client, address, port, { port: source.port });
        const name = `default/${answer.split(" ")[0]}`;
        // Where a scheduler of IPVS stands, nobody can tell: any of the candidates.
        assert.equal(decision?.chosen, mode === "ipvs" ? undefined : name);
        const entries = await conntrack(at.node, { protocol: "tcp", source: CLIENT, destination: address });
        const seen = chosenEndpoint(entries, flow);
        const wanted = decision?.candidates.find((candidate) => candidate.name === name);
        assert.ok(wanted?.eligible);
        assert.equal(seen?.endpoint.address, wanted?.address);
        assert.ok(seen?.masqueradedTo !== undefined);
      }
      assert.ok((await at.proxy.rulesOf(LIST)).length > 0);
    });

    test("what is predicted of clients that are remembered, of hashes and of weights is what packets meet", async (t) => {
      const services = [
        api(three, { affinitySeconds: 100 }),
        { name: "hashed", clusterIP: "10.96.0.8", endpoints: three, scheduler: "sh" },
        {
          name: "weighted",
          clusterIP: "10.96.0.9",
          endpoints: [...weighted, ...three.slice(1)],
          scheduler: "wrr",
        },
      ];
      const at = await lab(t, mode, services);
      for (const [i, address] of [CLUSTER_IP, CLUSTER_IP, "10.96.0.8", "10.96.0.9", "10.96.0.9"].entries()) {
        const flow: Flow = {
          protocol: "TCP",
          source: { address: CLIENT, port: 42_000 + i },
          destination: { address, port: 80 },
        };
        const list = listFor(at.source.current(), place, flow) ?? "";
        const rotation = await at.proxy.rotation([list]);
        const met = await at.proxy.remembered(list, CLIENT);
        const remembered = new Map(met === undefined ? [] : [[rememberedKey(list, CLIENT), met.endpoint]]);
        const known = { mode: labModes[mode].mode, rotation, remembered };
        const { outcome, steps } = explain(at.source.current(), place, flow, known);
        const name = `default/${nameIn(await ask(at.client, address, 80, { port: 42_000 + i }))}`;
        assert.ok(outcome.kind === "next");
        assert.ok(outcome.alternatives.some((one) => one.name === name));
        const chosen = steps[0]?.decision?.chosen;
        if (chosen !== undefined) assert.equal(chosen, name, address);
        // iptables cannot be asked for the clients that it remembers, IPVS for nothing at all.
        const untold = mode === "ipvs" || (met === undefined && address === CLUSTER_IP);
        assert.equal(chosen === undefined, untold, address);
      }
    });

    test("load balancers are told where endpoints are", async (t) => {
      const local = { externalTrafficPolicy: "Local", healthCheckNodePort: 32000 } as const;
      const at = await lab(t, mode, [api(three, local)]);
      assert.match(await get(at.client, NODE, 10256, "/healthz"), /^HTTP\/1.1 200 .*"nodeEligible":true/s);
      assert.match(await get(at.client, NODE, 32000, "/"), /^HTTP\/1.1 200 .*"localEndpoints":2/s);
      await at.set(api([pod("pod-3")], local));
      assert.match(
        await get(at.client, NODE, 32000, "/x"),
        /^HTTP\/1.1 503 .*{"service":{"namespace":"default","name":"api"},"localEndpoints":0,"serviceProxyHealthy":true}/s,
      );
      await at.set(api(three));
      assert.equal(await ask(at.client, NODE, 32000), "ECONNREFUSED");
    });
  });
}

/** The whole answer to a GET, head and body. */
function get(ns: NetNs, address: string, port: number, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = tcpConnect(ns, address, port);
    let answer = "";
    socket.on("connect", () => socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`));
    socket.on("data", (bytes) => (answer += bytes.toString()));
    socket.on("error", reject);
    socket.on("close", () => resolve(answer));
  });
}
