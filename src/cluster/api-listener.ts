/** The API server's TLS side: on the control address of the underlay, and on the host's loopback by a lent socket. */
import { createServer, type Server as HttpsServer } from "node:https";
import type { Server, Socket } from "node:net";
import type { ApiServer } from "#api";
import type { Identity } from "./messages.ts";

/** Listens on a socket (`fd`) at the control address; `use` adds further listening sockets. Client certificates are asked for, not required. */
export function serveApi(
  api: ApiServer,
  identity: Identity,
  fd: number,
): { readonly listening: Promise<void>; use(server: Server): void; close(): void } {
  const https: HttpsServer = createServer(
    {
      cert: identity.serverCertificate,
      key: identity.serverKey,
      ca: identity.caCertificate,
      requestCert: true,
      // Tokens are welcome too: the API server itself decides who may ask what.
      rejectUnauthorized: false,
      minVersion: "TLSv1.2",
    },
    (request, response) => api.handle(request, response),
  );
  const { promise: listening, resolve, reject } = Promise.withResolvers<void>();
  https.once("error", reject);
  https.listen({ fd }, resolve);
  const others: Server[] = [];
  return {
    listening,
    use(server) {
      others.push(server);
      server.on("connection", (socket: Socket) => https.emit("connection", socket));
    },
    close() {
      for (const server of others) server.close();
      https.close();
      https.closeAllConnections();
    },
  };
}
