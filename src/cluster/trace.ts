/** A trace: sends the request, gathers the evidence that belongs to this flow alone, and compares it with the prediction. */
import type { Client } from "#client";
import { conntrack, type ConntrackEntry, type NetNs } from "#kernel";
import type { ObjectRef, Snapshot } from "#model";
import {
  accountOf,
  compare,
  followEvidence,
  predict,
  type IngressRecord,
  type Observations,
  type Trace,
} from "#trace";
import { addresses } from "./config.ts";
import { sendRequest, type RequestToSend, type Sender, type SentRequest } from "./request.ts";
import { debugPort } from "./system.ts";

export interface TraceContext {
  readonly client: Client;
  readonly snapshot: () => Snapshot;
  readonly edge: NetNs;
  /** `file:line` of an object in the user's manifests. */
  readonly locate: (object: ObjectRef) => string | undefined;
}

export interface TraceOrder extends RequestToSend {
  readonly from: string;
  readonly dryRun: boolean;
}

interface End {
  readonly address: string;
  readonly port: number;
}

/** Explains one request; with `dryRun` it only predicts. */
export async function traceRequest(context: TraceContext, sender: Sender, order: TraceOrder): Promise<Trace> {
  const { url, method, headers, from, dryRun } = order;
  const request = { url, method, headers, from };
  const snapshot = context.snapshot();
  const options = { locate: context.locate };
  const outside = { internetAddress: addresses.internet };
  if (dryRun) return compare(predict(snapshot, request, undefined, outside), undefined, options);
  const sent = await sendRequest(sender, order);
  const observations = await gather(context, snapshot, sent);
  const port = sent.client === undefined ? {} : { sourcePort: sent.client.port };
  const prediction = predict(snapshot, request, followEvidence(snapshot, observations), {
    ...outside,
    ...port,
  });
  return compare(prediction, observations, { ...options, requestId: sent.requestId });
}

/** Reads what each component knows of this request. What cannot be read is left out, and the trace says so. */
async function gather(context: TraceContext, snapshot: Snapshot, sent: SentRequest): Promise<Observations> {
  const ingress = await ingressRecord(context.client, snapshot, sent.requestId);
  const ends: End[] = sent.client === undefined ? [] : [sent.client];
  if (ingress?.upstream !== undefined) {
    ends.push({ address: ingress.upstream.localAddress, port: ingress.upstream.localPort });
  }
  const tracked = await connections(context, snapshot, ends);
  const pod = accountOf(sent.response?.body ?? "");
  return {
    client: sent,
    conntrack: tracked,
    routes: await routes(context.client, snapshot, tracked),
    ...(ingress === undefined ? {} : { ingress }),
    ...(pod === undefined ? {} : { pod }),
  };
}

async function ingressRecord(
  client: Client,
  snapshot: Snapshot,
  requestId: string,
): Promise<(IngressRecord & { pod: { namespace: string; name: string } }) | undefined> {
  const pods = [...snapshot.pods.values()].filter(({ component }) => component === "ingress");
  const found = await Promise.all(
    pods.map(async ({ namespace, name }) => {
      const path = `/api/v1/namespaces/${namespace}/pods/${name}:${debugPort}/proxy/debug/records?requestId=${requestId}`;
      const records = await read<{ records: IngressRecord[] }>(client, path);
      return records?.records.map((record) => ({ ...record, pod: { namespace, name } })).at(-1);
    }),
  );
  return found.find((record) => record !== undefined);
}

async function connections(
  { client, edge }: TraceContext,
  snapshot: Snapshot,
  ends: readonly End[],
): Promise<{ node: string; entries: ConntrackEntry[] }[]> {
  const atEdge = Promise.all(
    ends.map(({ address, port }) => conntrack(edge, { protocol: "tcp", source: address, sourcePort: port })),
  );
  const atNodes = [...snapshot.nodes.keys()].map(async (node) => {
    const parts = await Promise.all(
      ends.map(({ address, port }) =>
        read<{ entries: ConntrackEntry[] }>(
          client,
          `/api/v1/nodes/${node}/proxy/debug/conntrack?protocol=tcp&source=${address}&sourcePort=${port}`,
        ),
      ),
    );
    // A node that did not answer is left out: it was not read, which is not the same as having seen nothing.
    return parts.some((part) => part === undefined)
      ? []
      : [{ node, entries: parts.flatMap((part) => part?.entries ?? []) }];
  });
  const nodes = (await Promise.all(atNodes)).flat();
  return [...nodes, { node: "edge", entries: (await atEdge).flat() }];
}

/** By which device each node that saw the flow sends on to the pods that it was translated to. */
async function routes(
  client: Client,
  snapshot: Snapshot,
  tracked: readonly { node: string; entries: readonly ConntrackEntry[] }[],
): Promise<NonNullable<Observations["routes"]>> {
  const questions = tracked
    .filter(({ node }) => snapshot.nodes.has(node))
    .flatMap(({ node, entries }) =>
      [...new Set(entries.map(({ reply }) => reply.source))].map((to) => ({ node, to })),
    );
  const answers = await Promise.all(
    questions.map(async ({ node, to }) => {
      const route = await read<{ device: string; via?: string }>(
        client,
        `/api/v1/nodes/${node}/proxy/debug/route?address=${to}`,
      );
      return route === undefined ? [] : [{ node, destination: to, ...route }];
    }),
  );
  return answers.flat();
}

/** Reads JSON through the API server's proxy; undefined when it cannot be had. */
async function read<T>(client: Client, path: string): Promise<T | undefined> {
  try {
    const answer = await client.raw({ method: "GET", path, headers: { accept: "application/json" } });
    const chunks: Uint8Array[] = [];
    for await (const chunk of answer.body) chunks.push(chunk);
    return answer.status === 200 ? JSON.parse(Buffer.concat(chunks).toString()) : undefined;
  } catch {
    return undefined;
  }
}
