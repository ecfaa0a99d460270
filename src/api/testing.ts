import type { ApiRequest, ApiResponse, Transport } from "#client";
import { kinds } from "#kube";
import { silentLog } from "#lib/log";
import { isRecord } from "./body.ts";
import { createApiServer } from "./server.ts";
import type { ApiServer, ApiServerOptions } from "./server.ts";

/** For tests: a server and short ways to ask it. */
export interface TestApi {
  readonly server: ApiServer;
  readonly transport: Transport;
  call(
    method: ApiRequest["method"],
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<Answer>;
  /** Events of a watch, until `count` have come. */
  watch(path: string, count: number, headers?: Record<string, string>): Promise<WatchEvent[]>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  /** The body when it is a JSON object, else empty. */
  readonly body: Record<string, unknown>;
}

export interface WatchEvent {
  readonly type: string;
  readonly object: Record<string, unknown>;
}

export function createTestApi(options: Partial<ApiServerOptions> = {}): TestApi {
  const server = createApiServer({
    serviceCIDRs: ["10.96.0.0/16"],
    nodePorts: { first: 30_000, last: 32_767 },
    kinds,
    log: silentLog,
    authenticate: { tokens: new Map() },
    debugToken: "debug",
    ...options,
  });
  const transport = server.transport({ name: "test", groups: ["system:masters"] });
  return {
    server,
    transport,
    call: async (method, path, body, headers = {}) => {
      const text = body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body);
      const type = method === "PATCH" ? "application/merge-patch+json" : "application/json";
      const answer = await transport.request({
        method,
        path,
        headers: {
          accept: "application/json",
          ...(text === undefined ? {} : { "content-type": type }),
          ...headers,
        },
        ...(text === undefined ? {} : { body: text }),
      });
      return readAnswer(answer);
    },
    watch: async (path, count, headers = {}) => {
      const stop = new AbortController();
      const answer = await transport.request({
        method: "GET",
        path,
        headers: { accept: "application/json", ...headers },
        signal: stop.signal,
      });
      const events: WatchEvent[] = [];
      for await (const event of readEvents(answer)) {
        events.push(event);
        if (events.length === count) stop.abort();
      }
      return events;
    },
  };
}

async function readAnswer(answer: ApiResponse): Promise<Answer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of answer.body) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  const isJson = answer.headers["content-type"]?.startsWith("application/json") === true;
  const value: unknown = isJson ? JSON.parse(text) : undefined;
  return { status: answer.status, headers: answer.headers, text, body: isRecord(value) ? value : {} };
}

/** The events of a watch as they come. */
export async function* readEvents(answer: ApiResponse): AsyncGenerator<WatchEvent> {
  let rest = "";
  for await (const chunk of answer.body) {
    rest += Buffer.from(chunk).toString();
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield JSON.parse(line) as WatchEvent;
  }
}

export const configMap = (name: string, fields: Record<string, unknown> = {}): Record<string, unknown> => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name },
  ...fields,
});
