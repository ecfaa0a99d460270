import type { ApiResponse } from "#client";
import { matchesFields, matchesLabels, parseFieldSelector, parseLabelSelector, SelectorError } from "#kube";
import type { KindInfo, KubeObject } from "#kube";
import { isRecord } from "./body.ts";
import type { Context, Request } from "./context.ts";
import { negotiate, parseIncludeObject } from "./negotiation.ts";
import { parseListOptions } from "./options.ts";
import type { ListOptions } from "./options.ts";
import { checkShape, renderList, renderObject } from "./represent.ts";
import type { ListMeta, View } from "./represent.ts";
import type { Target } from "./route.ts";
import { ApiFault, badRequest, expired, notFound } from "./status.ts";
import { storageOf } from "./storage.ts";
import { HistoryExpired } from "./store.ts";
import { goQuote } from "./strict-json.ts";
import { kindWarnings, warningHeaders } from "./warnings.ts";
import { openWatch } from "./watch.ts";

/** The stored object that a request names, as its kind shows it. Throws 404. */
export function find(context: Context, target: Target): KubeObject {
  const storage = storageOf(target.kind);
  const name = target.name ?? "";
  const object = context.store.get(storage.resource, target.namespace ?? "", name);
  if (object === undefined) throw notFound(target.kind, name);
  return storage.fromStored(object);
}

/** The view that a request's Accept header and parameters ask for. */
export function viewOf(context: Context, request: Request, kind: KindInfo, list: boolean): View {
  const representation = negotiate(request.headers["accept"]);
  checkShape(request.headers["accept"], kind, list);
  const include =
    representation.as === "table" ? parseIncludeObject(request.query.get("includeObject")) : "Metadata";
  return { kind, representation, include, now: context.now() };
}

/** An answer with one object. */
export function respond(
  view: View,
  status: number,
  object: KubeObject,
  headers: Readonly<Record<string, string>> = {},
): ApiResponse {
  return respondWith(view, status, renderObject(view, object), {
    ...warningHeaders(kindWarnings(view.kind)),
    ...headers,
  });
}

/** An answer with a value that is in its final form. */
export function respondWith(
  view: Pick<View, "representation">,
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): ApiResponse {
  const { media } = view.representation;
  const body = media === "yaml" ? yaml(value) : once(Buffer.from(JSON.stringify(value)));
  return { status, headers: { ...headers, "content-type": `application/${media}` }, body };
}

/** A body of one piece. */
export async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** The library is large and clients that want YAML are rare, so it is loaded for the first of them. */
async function* yaml(value: unknown): AsyncGenerator<Uint8Array> {
  const { stringify } = await import("yaml");
  yield Buffer.from(stringify(value, { sortMapEntries: true, indentSeq: false, version: "1.1" }));
}

export function handleGet(context: Context, request: Request, target: Target): ApiResponse {
  const view = viewOf(context, request, target.kind, false);
  return respond(view, 200, find(context, target));
}

export function handleList(context: Context, request: Request, target: Target): ApiResponse {
  const options = parseListOptions(request.query);
  const matches = selector(options, target.kind);
  if (options.watch) {
    const representation = negotiate(request.headers["accept"]);
    const include = parseIncludeObject(request.query.get("includeObject"));
    const { kind, namespace } = target;
    return openWatch(context, {
      kind,
      namespace,
      options,
      representation,
      include,
      matches,
      signal: request.signal,
    });
  }
  const view = viewOf(context, request, target.kind, true);
  const page = selectPage(context, target, options, matches);
  return respondWith(
    view,
    200,
    renderList(view, page.items, page.meta),
    warningHeaders(kindWarnings(target.kind)),
  );
}

/** Whether an object meets the label and field selectors of a request. */
export function selector(options: ListOptions, kind: KindInfo): (object: KubeObject) => boolean {
  const labels = parsed(() => parseLabelSelector(options.labelSelector));
  const fields = parsed(() => parseFieldSelector(kind, options.fieldSelector));
  return (object) => matchesLabels(labels, object.metadata?.labels ?? {}) && matchesFields(fields, object);
}

function parsed<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw error instanceof SelectorError ? badRequest(error.message) : error;
  }
}

interface Page {
  readonly items: readonly KubeObject[];
  readonly meta: ListMeta;
}

/** The objects that a list request asks for, one page of them if it has a limit. */
export function selectPage(
  context: Context,
  target: Target,
  options: ListOptions,
  matches: (object: KubeObject) => boolean,
): Page {
  const { store } = context;
  const storage = storageOf(target.kind);
  const token = options.continue === "" ? undefined : readToken(options);
  const at = token?.revision ?? requestedRevision(options, store.revision());
  const all = listAt(context, storage.resource, target.namespace, at, token);
  const start = token === undefined ? 0 : firstAfter(all, token.after);

  const limit = options.limit === 0 || options.resourceVersion === "0" ? Infinity : options.limit;
  const items: KubeObject[] = [];
  let next = start;
  for (; next < all.length && items.length < limit; next++) {
    const item = all[next];
    const shown = item === undefined ? undefined : storage.fromStored(item);
    if (shown !== undefined && matches(shown)) items.push(shown);
  }
  const selective = options.labelSelector !== "" || options.fieldSelector !== "";
  if (selective) {
    while (next < all.length && !matches(storage.fromStored(all[next] ?? {}))) next++;
  }
  const resourceVersion = String(at ?? store.revision());
  const last = all[next - 1];
  if (next >= all.length || last === undefined) return { items, meta: { resourceVersion } };
  return {
    items,
    meta: {
      resourceVersion,
      continue: writeToken(Number(resourceVersion), keyOf(last)),
      ...(selective ? {} : { remainingItemCount: all.length - next }),
    },
  };
}

/** The earlier revision that a list must show exactly; undefined for the present state. */
function requestedRevision(options: ListOptions, current: number): number | undefined {
  const text = options.resourceVersion;
  if (text === "" || text === "0") return undefined;
  if (!/^\d+$/.test(text)) {
    const shown = JSON.stringify(text);
    throw badRequest(
      `invalid resource version: resourceVersion: Invalid value: ${shown}: strconv.ParseUint: parsing ${shown}: invalid syntax`,
    );
  }
  const revision = Number(text);
  if (revision > current) {
    throw new ApiFault(
      504,
      "Timeout",
      `Timeout: Too large resource version: ${revision}, current: ${current}`,
      {
        causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }],
        retryAfterSeconds: 1,
      },
    );
  }
  const exact = options.match === "Exact" || (options.match === "" && options.limit > 0);
  return exact ? revision : undefined;
}

function listAt(
  context: Context,
  resource: string,
  namespace: string | undefined,
  at: number | undefined,
  token: Token | undefined,
): readonly KubeObject[] {
  try {
    return context.store.list(resource, namespace, at);
  } catch (error) {
    if (!(error instanceof HistoryExpired)) throw error;
    if (token === undefined) throw expired("The resourceVersion for the provided list is too old.");
    const fault = expired(
      "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.",
    );
    const again = { ...fault.status, metadata: { continue: writeToken(undefined, token.after) } };
    throw Object.assign(fault, { status: again });
  }
}

interface Token {
  /** Undefined: go on with the present state (the answer to an expired token). */
  readonly revision: number | undefined;
  /** Key of the last object that was sent. */
  readonly after: string;
}

const keyOf = (object: KubeObject): string =>
  `${object.metadata?.namespace ?? ""}\u0000${object.metadata?.name ?? ""}`;

function firstAfter(objects: readonly KubeObject[], key: string): number {
  const at = objects.findIndex((object) => keyOf(object) > key);
  return at < 0 ? objects.length : at;
}

function writeToken(revision: number | undefined, after: string): string {
  return Buffer.from(JSON.stringify({ v: "inroad/v1", rv: revision ?? -1, after })).toString("base64url");
}

function readToken(options: ListOptions): Token {
  if (options.resourceVersion !== "" && options.resourceVersion !== "0") {
    throw badRequest("specifying resource version is not allowed when using continue");
  }
  const text = Buffer.from(options.continue, "base64url").toString("latin1");
  let token: unknown;
  try {
    token = JSON.parse(text);
  } catch {
    throw badRequest(
      `invalid continue token: continue key is not valid: invalid character ${goQuote(text[0] ?? "")} looking for beginning of value`,
    );
  }
  const { rv, after } = isRecord(token) ? token : {};
  if (typeof rv !== "number" || typeof after !== "string") {
    throw badRequest("invalid continue token: continue key is not valid: unknown form");
  }
  return { revision: rv < 0 ? undefined : rv, after };
}
