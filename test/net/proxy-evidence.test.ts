/** What is told of the rules agrees with what packets meet, in every mode. */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { conntrack, tcpConnect } from "#kernel";
import type { NetNs } from "#kernel";
import type { Flow, Place } from "#model";
import { chosenEndpoint, explain } from "#path/proxy";
import { ADDRESSES, CLUSTER_IP, NODE, VIP, api, pod } from "../../src/path/4-proxy/contract.ts";
import { ask, everyMode, lab, labModes } from "./proxy-lab.ts";

const CLIENT = ADDRESSES.client.IPv4;
const LIST = "default/api:http/TCP";
const three = [pod("pod-1"), pod("pod-2"), pod("pod-3")];

for (const mode of everyMode) {
  describe(`evidence by ${mode}`, () => {
    test("what explain() predicts is what the packet does, to the endpoint whose turn it is", async (t) => {
      const at = await lab(t, mode, [api(three)]);
      const place: Place = { at: "proxy", node: "node-a", from: "outside" };
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
        assert.equal(`default/${answer.split(" ")[0]}`, decision?.chosen);
        const entries = await conntrack(at.node, { protocol: "tcp", source: CLIENT, destination: address });
        const seen = chosenEndpoint(entries, flow);
        const wanted = decision?.candidates.find((candidate) => candidate.name === decision.chosen);
        assert.equal(seen?.endpoint.address, wanted?.address);
        assert.ok(seen?.masqueradedTo !== undefined);
      }
      assert.ok((await at.proxy.rulesOf(LIST)).length > 0);
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
