/** The cluster's own door for the command line: JSON over a Unix socket that only its owner can open. */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { chmodSync } from "node:fs";
import { createServer } from "#lib/http";
import { InroadError, messageOf } from "#lib/errors";

export type Handler = (query: URLSearchParams, body: unknown) => unknown;

const largestBody = 1 << 20;

/** Serves handlers by path; what they return is the answer, what they throw is told with its code and mend. */
export function serveControl(path: string, handlers: Readonly<Record<string, Handler>>): Promise<Server> {
  const server = createServer((request, response) => {
    answer(request, response, handlers).catch((error: unknown) => reply(response, 500, failure(error)));
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => {
      chmodSync(path, 0o600);
      resolve(server);
    });
  });
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  handlers: Readonly<Record<string, Handler>>,
): Promise<void> {
  const url = new URL(request.url ?? "/", "http://control");
  const handler = handlers[url.pathname];
  if (handler === undefined)
    return reply(response, 404, { code: "NotFound", message: `no such request: ${url.pathname}` });
  const text = await readBody(request);
  reply(response, 200, await handler(url.searchParams, text === "" ? undefined : JSON.parse(text)));
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    const bytes = Buffer.from(chunk);
    size += bytes.length;
    if (size > largestBody) throw new InroadError("TooLarge", "the request is too large");
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString();
}

function reply(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
}

function failure(error: unknown): object {
  if (!(error instanceof InroadError)) return { code: "Defect", message: messageOf(error), exitStatus: 1 };
  const { code, message, where, mend, exitStatus } = error;
  return { code, message, where, mend, exitStatus };
}
