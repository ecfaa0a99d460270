/** The HTTP side of a place's proxy: CONNECT (RFC 9110 section 9.3.6), and requests whose target is a whole URL (RFC 9112 section 3.2.2). */
import type { IncomingMessage, OutgoingHttpHeaders, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { createServer, request as httpRequest } from "#lib/http";
import { codeOf, messageOf } from "#lib/errors";
import { join } from "#lib/join";

interface NamedEnd {
  /** A name or an IPv4 literal. */
  readonly host: string;
  readonly port: number;
}

/** Connects from the place; given up when the client goes. */
type Dial = (end: NamedEnd, client: Socket) => Promise<Socket>;

/** Fields that belong to one connection (RFC 9110 section 7.6.1). */
const ofConnection = new Set([
  ...["connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"],
  ...["te", "trailer", "transfer-encoding", "upgrade"],
]);

/** A server that is handed connections (`connection` events) and never listens itself. */
export function createHttpProxy(dial: Dial): Server {
  const server = createServer((request, response) => {
    forward(request, response, dial).catch((error: unknown) => refuse(response, error));
  });
  server.on("connect", (request: IncomingMessage, client: Socket, head: Buffer) => {
    client.setTimeout(0);
    if (head.length > 0) client.unshift(head);
    tunnel(request.url ?? "", client, dial).catch((error: unknown) => {
      client.end(
        `HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nX-Error: ${codeOf(error) ?? "failed"}\r\n\r\n`,
      );
    });
  });
  return server;
}

async function tunnel(target: string, client: Socket, dial: Dial): Promise<void> {
  const [, host = "", port = ""] = /^([A-Za-z0-9_.-]{1,255}):(\d{1,5})$/.exec(target) ?? [];
  const upstream = await dial({ host, port: Number(port) }, client);
  client.write("HTTP/1.1 200 Connection established\r\n\r\n");
  await join(client, upstream);
}

/** Each request goes on a connection of its own, as it would from a program that knows no proxy and keeps none. */
async function forward(request: IncomingMessage, response: ServerResponse, dial: Dial): Promise<void> {
  const url = URL.canParse(request.url ?? "") ? new URL(request.url ?? "") : undefined;
  if (url?.protocol !== "http:") {
    response.writeHead(400).end("this proxy takes http:// URLs, CONNECT and SOCKS 5\n");
    return;
  }
  const { hostname: host, port } = url;
  request.socket.setTimeout(0);
  const upstream = await dial({ host, port: port === "" ? 80 : Number(port) }, request.socket);
  const outgoing = httpRequest({
    createConnection: () => upstream,
    method: request.method,
    path: url.pathname + url.search,
    headers: { ...endToEnd(request.headers), host: url.host, connection: "close" },
  });
  request.pipe(outgoing);
  response.once("close", () => upstream.destroy());
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.once("response", resolve);
    outgoing.once("error", reject);
  });
  response.writeHead(answer.statusCode ?? 502, endToEnd(answer.headers));
  answer.pipe(response);
}

function endToEnd(headers: IncomingMessage["headers"]): OutgoingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !ofConnection.has(name)));
}

function refuse(response: ServerResponse, error: unknown): void {
  if (response.headersSent) return void response.destroy();
  response.writeHead(502).end(`${messageOf(error)}\n`);
}
