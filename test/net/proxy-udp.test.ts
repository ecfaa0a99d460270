/** UDP flows that the kernel remembers, in every mode of rules. */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import dgram from "node:dgram";
import { once } from "node:events";
import { udpSocket } from "#kernel";
import { pod } from "../../src/path/4-proxy/contract.ts";
import type { TestEndpoint, TestService } from "../../src/path/4-proxy/testing.ts";
import { everyMode, lab } from "./proxy-lab.ts";

function dns(endpoint: TestEndpoint): TestService {
  return { name: "dns", clusterIP: "10.96.0.10", port: 53, protocol: "UDP", endpoints: [endpoint] };
}

for (const mode of everyMode) {
  describe(`UDP by ${mode}`, () => {
    test("UDP: a flow that goes on from the same port leaves an endpoint that is gone", async (t) => {
      const at = await lab(t, mode, [dns(pod("pod-1"))]);
      const socket = dgram.createSocket("udp4");
      socket.bind({ fd: udpSocket(at.placeOf("pod-3"), "0.0.0.0", 0) });
      at.undo.push(() => socket.close());
      const query = async (): Promise<string> => {
        socket.send("?", 53, "10.96.0.10");
        const [answer] = (await once(socket, "message", { signal: AbortSignal.timeout(3000) })) as [Buffer];
        return answer.toString();
      };
      assert.equal(await query(), "pod-1 10.244.1.2");
      await at.set(dns(pod("pod-2")));
      assert.equal(await query(), "pod-2 10.244.1.2");
    });
  });
}
