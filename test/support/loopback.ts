/** Loopback addresses that no cluster and no other test has at this time. */
import { createServer } from "node:net";
import type { TestContext } from "node:test";
import { createPortTable, layOut, mostClusters, tcpListener } from "#kernel";
import type { LoopbackMap } from "#kernel";
import { codeOf } from "#lib/errors";

const control = "172.30.0.1";
const networks = ["10.96.0.0/16", "10.244.0.0/16", "172.30.0.0/24", "203.0.113.0/24"];
let used = 0;

/** A map whose ports below 1024 are moved, as for an ordinary user; given up at the end of the test. */
export function freeLoopback(t: TestContext): LoopbackMap {
  for (let tries = 0; tries < mostClusters; tries += 1) {
    const map = { networks: layOut(process.pid + used++, networks), moved: true };
    const home = { name: "home", address: control, map };
    try {
      const server = createServer().listen({ fd: tcpListener(home, control, 6443) });
      t.after(() => server.close());
      return { ...map, ports: { TCP: createPortTable(), UDP: createPortTable() } };
    } catch (error) {
      if (codeOf(error) !== "EADDRINUSE") throw error;
    }
  }
  throw new Error("no loopback network is free");
}
