/** A trace: sends the request, gathers the evidence that belongs to this flow alone, and compares it with the prediction. */
import type { Client } from "#client";
import type { ConntrackEntry } from "#kernel";
import { endpointText, type Fault, type ObjectRef, type Snapshot } from "#model";
import { observe as observeIngress } from "#path/ingress";
import { leftBy, type PolicyPlane } from "#path/node";
import { listFor, rememberedKey, type Proxy, type ProxyMode, type Rotation } from "#path/proxy";
import type { ProxyFacts } from "#path";
import {
  accountOf,
  compare,
  followEvidence,
  predict,
  type Observations,
  type Prediction,
  type Trace,
  type TrackedConnection,
} from "#trace";
import { addresses } from "./config.ts";
import type { ClusterNetwork } from "./network.ts";
import { sendRequest, type RequestToSend, type Sender, type SentRequest } from "./request.ts";

export interface TraceContext {
  readonly client: Client;
  readonly snapshot: () => Snapshot;
  readonly balanced: ClusterNetwork["balanced"];
  readonly proxyMode: ProxyMode;
  /** By node. */
  readonly proxies: ReadonlyMap<string, Pick<Proxy, "remembered" | "rotation" | "rulesOf" | "silent">>;
  /** The NetworkPolicies in force, by node. */
  readonly policies: ReadonlyMap<string, Pick<PolicyPlane, "denied">>;
  readonly faults: () => readonly Fault[];
  /** `file:line` of an object in the user's manifests. */
  readonly locate: (object: ObjectRef) => string | undefined;
}

export interface TraceOrder extends RequestToSend {
  readonly from: string;
  readonly dryRun: boolean;
}

/** How long a component may take to tell what it knows of a request. */
const EVIDENCE_PATIENCE_MS = 3000;

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
  const faults = context.faults();
  const internetAddresses = [addresses.internet, addresses.internetIPv6];
  const known = { internetAddresses, proxies: factsOf(context), faults };
  const first = predict(snapshot, request, undefined, known);
  const [turns, remembered] = await Promise.all([readTurns(context, first), readRemembered(context, first)]);
  const proxies = { ...known.proxies, turns, remembered };
  if (dryRun) {
    const prediction = predict(snapshot, request, undefined, { ...known, proxies });
    return compare(prediction, undefined, options);
  }
  const sent = await sendRequest(sender, order);
  const observations = await gather(context, snapshot, sent);
  const port = sent.client === undefined ? {} : { sourcePort: sent.client.port };
  const prediction = predict(snapshot, request, followEvidence(snapshot, observations), {
    ...known,
    ...port,
    proxies,
  });
  const rules = await readRules(context, prediction);
  return compare(prediction, { ...observations, rules }, { ...options, requestId: sent.requestId });
}

function factsOf({ proxyMode, proxies }: TraceContext) {
  const silent = new Map([...proxies].map(([node, proxy]) => [node, proxy.silent()] as const));
  return { mode: proxyMode, silent };
}

/** Where the predicted way crosses Service rules. */
function crossings({ route }: Prediction) {
  return route.visits.flatMap(({ place, flow }) => (place.at === "proxy" ? [{ place, flow }] : []));
}

/** Whose turn is next on every node, in the lists that the request will come to, whichever of the nodes it crosses. */
async function readTurns(
  { proxies }: TraceContext,
  prediction: Prediction,
): Promise<ReadonlyMap<string, ReadonlyMap<string, Rotation>>> {
  const read = [...proxies].map(async ([node, proxy]) => {
    const lists = crossings(prediction).flatMap(
      ({ place, flow }) => listFor(prediction.snapshot, { ...place, node }, flow) ?? [],
    );
    return [node, await proxy.rotation([...new Set(lists)]).catch(() => new Map())] as const;
  });
  return new Map(await Promise.all(read));
}

/** Which endpoint every node remembers for the clients that the request is sent by, where a Service wants that. */
async function readRemembered(
  { proxies }: TraceContext,
  prediction: Prediction,
): Promise<NonNullable<ProxyFacts["remembered"]>> {
  const read = [...proxies].map(async ([node, proxy]) => {
    const asked = crossings(prediction).flatMap(({ place, flow }) => {
      const list = listFor(prediction.snapshot, { ...place, node }, flow);
      return list === undefined ? [] : [{ list, client: flow.source.address }];
    });
    const known = asked.map(async ({ list, client }) => {
      const met = await proxy.remembered(list, client).catch(() => undefined);
      return met === undefined ? [] : [[rememberedKey(list, client), met.endpoint] as const];
    });
    return [node, new Map((await Promise.all(known)).flat())] as const;
  });
  return new Map(await Promise.all(read));
}

async function readRules(
  { proxies }: TraceContext,
  prediction: Prediction,
): Promise<NonNullable<Observations["rules"]>> {
  const read = crossings(prediction).map(async ({ place, flow }) => {
    const list = listFor(prediction.snapshot, place, flow);
    const lines =
      list === undefined
        ? []
        : await proxies
            .get(place.node)
            ?.rulesOf(list)
            .catch(() => []);
    return { node: place.node, to: endpointText(flow.destination), lines: lines ?? [] };
  });
  return Promise.all(read);
}

/** Reads what each component knows of this request. What cannot be read is left out, and the trace says so. */
async function gather(context: TraceContext, snapshot: Snapshot, sent: SentRequest): Promise<Observations> {
  const ingress = await ingressRecord(context.client, snapshot, sent.requestId);
  const ends: End[] = sent.client === undefined ? [] : [sent.client];
  if (ingress?.upstream !== undefined) {
    ends.push({ address: ingress.upstream.localAddress, port: ingress.upstream.localPort });
  }
  const first = await connections(context, snapshot, ends);
  const masqueraded = masqueradedEnds(first);
  const tracked =
    masqueraded.length === 0 ? first : await connections(context, snapshot, [...ends, ...masqueraded]);
  const pod = accountOf(sent.response?.body ?? "");
  return {
    client: sent,
    keptBy: context.proxyMode === "userspace" ? "proxy record" : "conntrack",
    conntrack: tracked,
    routes: await routes(context.client, snapshot, tracked),
    denied: await deniedBy(context),
    ...(ingress === undefined ? {} : { ingress }),
    ...(pod === undefined ? {} : { pod }),
  };
}

/** What policies kept back on each node that could be read. */
async function deniedBy({ policies }: TraceContext): Promise<NonNullable<Observations["denied"]>> {
  const read = [...policies].map(async ([node, policy]) => {
    const entries = await policy.denied().catch(() => undefined);
    return entries === undefined ? [] : [{ node, entries }];
  });
  return (await Promise.all(read)).flat();
}

async function ingressRecord(
  client: Client,
  snapshot: Snapshot,
  requestId: string,
): Promise<Observations["ingress"]> {
  const pods = [...snapshot.pods.values()].filter(({ component }) => component === "ingress");
  const found = await Promise.all(
    pods.map(async ({ namespace, name }) => {
      const pod = { namespace, name };
      const asked = observeIngress(client.transport, pod, requestId).catch(() => undefined);
      const record = await Promise.race([asked, nothingAfter(EVIDENCE_PATIENCE_MS)]);
      return record && { ...record, pod };
    }),
  );
  return found.find((record) => record !== undefined);
}

/** NetworkPolicies of the component may keep the question back, too. */
function nothingAfter(milliseconds: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(() => resolve(undefined), milliseconds).unref());
}

async function connections(
  { client, balanced }: TraceContext,
  snapshot: Snapshot,
  ends: readonly End[],
): Promise<{ node: string; entries: TrackedConnection[] }[]> {
  const atEdge = Promise.all(
    ends.map(({ address, port }) => balanced({ protocol: "tcp", source: address, sourcePort: port })),
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
    if (parts.some((part) => part === undefined)) return [];
    const entries = parts.flatMap((part) => part?.entries ?? []);
    return [{ node, entries: entries.map((entry) => ({ ...entry, leftBy: leftBy(entry.mark) })) }];
  });
  const nodes = (await Promise.all(atNodes)).flat();
  return [...nodes, { node: "edge", entries: (await atEdge).flat() }];
}

/** Under which ends the flow goes on behind nodes that put their own address into it: the next node knows no other. */
function masqueradedEnds(tracked: Awaited<ReturnType<typeof connections>>): End[] {
  return tracked.flatMap(({ entries }) =>
    entries.flatMap(({ original, reply }) =>
      reply.destination === original.source && reply.destinationPort === original.sourcePort
        ? []
        : [{ address: reply.destination, port: reply.destinationPort }],
    ),
  );
}

/** By which device each node that saw the flow sends on to the pods that it was translated to. */
async function routes(
  client: Client,
  snapshot: Snapshot,
  tracked: readonly { node: string; entries: readonly TrackedConnection[] }[],
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
