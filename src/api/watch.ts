import type { ApiResponse } from "#client";
import type { KindInfo, KubeObject } from "#kube";
import { apiVersionOf } from "./body.ts";
import type { Context } from "./context.ts";
import type { IncludeObject, Representation } from "./negotiation.ts";
import type { ListOptions } from "./options.ts";
import { renderObject, renderTable } from "./represent.ts";
import type { View } from "./represent.ts";
import { ApiFault, expired } from "./status.ts";
import type { Status } from "./status.ts";
import { storageOf } from "./storage.ts";
import { HistoryExpired } from "./store.ts";
import type { Change, Subscription } from "./store.ts";
import { createStream } from "./stream.ts";

interface WatchRequest {
  readonly kind: KindInfo;
  readonly namespace: string | undefined;
  readonly options: ListOptions;
  readonly representation: Representation;
  readonly include: IncludeObject;
  /** Whether an object (as the client sees it) is selected. */
  readonly matches: (object: KubeObject) => boolean;
  readonly signal: AbortSignal | undefined;
}

/** Bytes that a slow client may leave unread before its watch is ended; it then watches anew. */
const MAX_PENDING = 32 * 1024 * 1024;
const BOOKMARK_EVERY_MS = 60_000;
/** Without timeoutSeconds a watch lives between this and twice this. */
const DEFAULT_LIFE_SECONDS = 1800;
const INITIAL_CHUNK = 64 * 1024;
const INITIAL_EVENTS_END = { "k8s.io/initial-events-end": "true" };

/**
 * A watch as a body of one JSON event per line. It begins with the present objects (no resourceVersion,
 * `0`, or sendInitialEvents) or with the changes after a version, and goes on until its time is over.
 * A version that is too old gives one ERROR event with a 410 Status.
 */
export function openWatch(context: Context, request: WatchRequest): ApiResponse {
  if (context.watches.open >= context.watches.limit) {
    throw new ApiFault(429, "TooManyRequests", "too many watches are open, please try again later", {
      retryAfterSeconds: 1,
    });
  }
  const lines = createLines(context, request);
  const { options } = request;
  const storage = storageOf(request.kind);
  const fresh = options.resourceVersion === "" || options.resourceVersion === "0";
  const withInitial = options.initialEvents ?? fresh;
  const start = context.store.revision();
  const from = withInitial || fresh ? start : Math.min(parseVersion(options.resourceVersion), start);

  const initial = withInitial
    ? context.store.list(storage.resource, request.namespace).map((object) => storage.fromStored(object))
    : [];
  const endMark = options.bookmarks && options.initialEvents === true;
  const cleanups: (() => void)[] = [];
  const stream = createStream(initialChunks(lines, initial, endMark ? start : undefined), () => {
    context.watches.open--;
    for (const cleanup of cleanups) cleanup();
  });
  context.watches.open++;

  let subscription: Subscription;
  try {
    subscription = context.store.watch(storage.resource, request.namespace, from, (change) => {
      const line = lines.ofChange(change);
      if (line !== undefined) stream.push(line);
      if (stream.pending() > MAX_PENDING) stream.end();
    });
    cleanups.push(() => subscription.close());
  } catch (error) {
    if (!(error instanceof HistoryExpired)) throw error;
    stream.push(lines.error(expired(`too old resource version: ${from} (${error.oldest})`).status));
    stream.end();
  }
  if (options.bookmarks) {
    const timer = setInterval(() => stream.push(lines.bookmark(context.store.revision())), BOOKMARK_EVERY_MS);
    timer.unref();
    cleanups.push(() => clearInterval(timer));
  }
  const seconds = options.timeout || DEFAULT_LIFE_SECONDS * (1 + Math.random());
  const life = setTimeout(() => stream.end(), Math.min(seconds * 1000, 2 ** 31 - 1));
  life.unref();
  cleanups.push(() => clearTimeout(life));
  for (const signal of [request.signal, context.closing]) {
    if (signal === undefined) continue;
    const stop = (): void => stream.end();
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    cleanups.push(() => signal.removeEventListener("abort", stop));
  }
  return { status: 200, headers: { "content-type": "application/json" }, body: stream.body };
}

function parseVersion(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  const shown = JSON.stringify(text);
  throw new ApiFault(
    500,
    undefined,
    `resourceVersion: Invalid value: ${shown}: strconv.ParseUint: parsing ${shown}: invalid syntax`,
  );
}

interface Lines {
  ofChange(change: Change): Uint8Array | undefined;
  added(object: KubeObject): Uint8Array | undefined;
  bookmark(revision: number, annotations?: Readonly<Record<string, string>>): Uint8Array;
  error(status: Status): Uint8Array;
}

/** The last change that was written out, in each form that some watch wanted: all watches share it. */
let latest: { change: Change | undefined; readonly texts: Map<string, Uint8Array> } = {
  change: undefined,
  texts: new Map(),
};

const line = (type: string, object: unknown): Uint8Array =>
  Buffer.from(`{"type":"${type}","object":${JSON.stringify(object)}}\n`);

function createLines(context: Context, request: WatchRequest): Lines {
  const { kind, representation, include, matches } = request;
  const storage = storageOf(kind);
  const form = `${apiVersionOf(kind)} ${representation.as} ${representation.version} ${include}`;
  let columns = true;

  const view = (): View => ({ kind, representation, include, now: context.now() });
  const render = (object: KubeObject): unknown => {
    if (representation.as !== "table") return renderObject(view(), object);
    const { resourceVersion = "" } = object.metadata ?? {};
    const table = renderTable(view(), [object], { resourceVersion }, columns);
    columns = false;
    return table;
  };

  const shared = (change: Change, type: string, object: () => KubeObject): Uint8Array => {
    // The first Table of a watch has its columns and so is its own.
    if (representation.as === "table" && columns) return line(type, render(object()));
    if (latest.change !== change) latest = { change, texts: new Map() };
    const key = `${type} ${form}`;
    let text = latest.texts.get(key);
    if (text === undefined) latest.texts.set(key, (text = line(type, render(object()))));
    return text;
  };

  return {
    ofChange: (change) => {
      const now = storage.fromStored(change.object);
      const before = change.previous === undefined ? undefined : storage.fromStored(change.previous);
      const was = before !== undefined && matches(before);
      if (change.type === "DELETED") return was ? shared(change, "DELETED", () => now) : undefined;
      if (matches(now)) return shared(change, was ? "MODIFIED" : "ADDED", () => now);
      // An object that leaves the selection is shown as it was, with the version of the change.
      return was ? shared(change, "DELETED", () => atVersion(before, change.revision)) : undefined;
    },
    added: (object) => (matches(object) ? line("ADDED", render(object)) : undefined),
    bookmark: (revision, annotations) => {
      const metadata = {
        resourceVersion: String(revision),
        ...(annotations === undefined ? {} : { annotations }),
      };
      return line("BOOKMARK", render({ kind: kind.kind, apiVersion: apiVersionOf(kind), metadata }));
    },
    error: (status) => line("ERROR", status),
  };
}

const atVersion = (object: KubeObject, revision: number): KubeObject => ({
  ...object,
  metadata: { ...object.metadata, resourceVersion: String(revision) },
});

function* initialChunks(
  lines: Lines,
  objects: readonly KubeObject[],
  endMark: number | undefined,
): Generator<Uint8Array> {
  let chunk: Uint8Array[] = [];
  let size = 0;
  for (const object of objects) {
    const line = lines.added(object);
    if (line === undefined) continue;
    chunk.push(line);
    size += line.length;
    if (size < INITIAL_CHUNK) continue;
    yield Buffer.concat(chunk);
    chunk = [];
    size = 0;
  }
  if (endMark !== undefined) chunk.push(lines.bookmark(endMark, INITIAL_EVENTS_END));
  if (chunk.length > 0) yield Buffer.concat(chunk);
}
