/** UDP flows that the kernel remembers, in every mode of rules and both families. */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import dgram from "node:dgram";
import { once } from "node:events";
import { udpSocket } from "#kernel";
import { pod, pod6 } from "../../src/path/4-proxy/contract.ts";
import type { TestEndpoint, TestService } from "../../src/path/4-proxy/testing.ts";
import { eventually, everyMode, lab, nameIn } from "./proxy-lab.ts";
import type { Lab } from "./proxy-lab.ts";

const CLUSTER_IP = "10.96.0.10";
const CLUSTER_IP6 = "fd00:10:96::a";

function dns(...endpoints: readonly TestEndpoint[]): TestService {
  const both = { clusterIP: CLUSTER_IP, secondClusterIP: CLUSTER_IP6 };
  return { name: "dns", ...both, port: 53, protocol: "UDP", endpoints };
}

/** A client in pod-3 that always sends from the same port: who answered, or `silence`, or the error's code. */
function flow(at: Lab, address: string): (patience?: number) => Promise<string> {
  const six = address.includes(":");
  const socket = dgram.createSocket(six ? "udp6" : "udp4");
  const fd = udpSocket(at.placeOf("pod-3"), six ? "::" : "0.0.0.0", 0);
  const connected = new Promise<void>((resolve) => {
    socket.bind({ fd }, () => socket.connect(53, address, () => resolve()));
  });
  at.undo.push(() => socket.close());
  return async (patience = 3000) => {
    await connected;
    const answer = once(socket, "message", { signal: AbortSignal.timeout(patience) });
    socket.send("?");
    try {
      return nameIn(String((await answer)[0]));
    } catch (error) {
      const { code, name } = error as NodeJS.ErrnoException;
      return name === "AbortError" ? "silence" : (code ?? name);
    }
  };
}

for (const mode of everyMode) {
  describe(`UDP by ${mode}`, () => {
    for (const [address, endpoint] of [
      [CLUSTER_IP, pod],
      [CLUSTER_IP6, pod6],
    ] as const) {
      test(`a flow to ${address} that goes on from the same port leaves an endpoint that is gone`, async (t) => {
        const at = await lab(t, mode, [dns(endpoint("pod-1"))]);
        const ask = flow(at, address);
        assert.equal(await ask(), "pod-1");
        await at.set(dns(endpoint("pod-2")));
        assert.equal(await ask(), "pod-2");
      });

      test(`a flow to ${address} is refused when the last endpoint leaves, and goes on with the next one`, async (t) => {
        const at = await lab(t, mode, [dns(endpoint("pod-1"))]);
        const ask = flow(at, address);
        assert.equal(await ask(), "pod-1");
        await at.set(dns());
        assert.equal(await ask(1000), "ECONNREFUSED");
        await at.set(dns(endpoint("pod-2")));
        assert.equal(await ask(), "pod-2");
      });

      test(`a flow to ${address} ends with its Service, also where no proxy saw it go`, async (t) => {
        const at = await lab(t, mode, [dns(endpoint("pod-1"))]);
        const ask = flow(at, address);
        assert.equal(await ask(), "pod-1");
        const other = {
          name: "other",
          clusterIP: "10.96.0.11",
          secondClusterIP: "fd00:10:96::b",
          endpoints: [],
        };
        await at.proxy.close({ keepRules: true });
        await at.startProxy(other).ready;
        await eventually(async () => assert.notEqual(await ask(300), "pod-1"));
      });
    }

    test("a flow to an endpoint that stays is left alone", async (t) => {
      const at = await lab(t, mode, [dns(pod("pod-1"))]);
      const ask = flow(at, CLUSTER_IP);
      assert.equal(await ask(), "pod-1");
      await at.set(dns(pod("pod-1"), pod("pod-2")));
      for (let i = 0; i < 4; i++) assert.equal(await ask(), "pod-1");
    });
  });
}
