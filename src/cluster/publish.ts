/** Ports of the load balancer on the host's loopback: every accepted connection goes on from the `internet` namespace. */
import type { Server, Socket } from "node:net";
import { tcpConnect, type NetPlace } from "#kernel";
import { messageOf } from "#lib/errors";
import { join } from "#lib/join";
import type { Log } from "#lib/log";

/** Relays a listening socket of the host to `target()`; connections are refused while there is no target. */
export function relay(
  server: Server,
  options: { from: NetPlace; port: number; target: () => string | undefined; log: Log },
): void {
  server.on("connection", (client: Socket) => {
    const address = options.target();
    if (address === undefined) {
      client.destroy();
      return;
    }
    try {
      void join(client, tcpConnect(options.from, address, options.port));
    } catch (error) {
      // No descriptor is left, say: this connection fails, the cluster does not.
      client.destroy();
      options.log.warn("published connection failed", { error: messageOf(error) });
    }
  });
  server.on("error", (error) => options.log.warn("published port failed", { error: error.message }));
}
