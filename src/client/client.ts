import type { KubeObject, Resource } from "#kube";
import { InroadError } from "#lib/errors";
import { ApiError } from "./api-error.ts";
import { apiVersionOf, resourcePath, withQuery } from "./resource-path.ts";
import type { ApiRequest, ApiResponse, Transport } from "./types.ts";

/** Which objects of a kind. */
export interface Selection {
  /** All namespaces if not given. */
  readonly namespace?: string;
  /** `app=api,tier in (web)`. */
  readonly labelSelector?: string;
  /** `type=kubernetes.io/tls`. */
  readonly fieldSelector?: string;
}

export interface ListResult<T extends KubeObject = KubeObject> {
  readonly items: readonly T[];
  /** Where a watch goes on from. */
  readonly resourceVersion: string;
}

export interface PatchOptions {
  /** RFC 7396, Kubernetes' strategic merge, or RFC 6902. */
  readonly type: "merge" | "strategic" | "json";
  readonly subresource?: string;
}

export interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: "Background" | "Foreground" | "Orphan";
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
}

/**
 * A REST client for the Kubernetes API. All methods throw `ApiError` when the server refuses.
 *
 * `T` is the caller's knowledge of the kind's schema: the server has validated what it stores, so
 * objects are not checked again here.
 */
export interface Client {
  readonly transport: Transport;
  /** `undefined` when there is no such object. */
  get<T extends KubeObject = KubeObject>(
    kind: Resource,
    name: string,
    namespace?: string,
  ): Promise<T | undefined>;
  /** All pages, put together. */
  list<T extends KubeObject = KubeObject>(kind: Resource, selection?: Selection): Promise<ListResult<T>>;
  /** With a subresource: posts to that of the object's name (`binding`, `eviction`); the answer is then a Status. */
  create<T extends KubeObject = KubeObject>(
    kind: Resource,
    object: KubeObject,
    subresource?: string,
  ): Promise<T>;
  /** Fails with `Conflict` if the object's resourceVersion is no longer the current one. */
  update<T extends KubeObject = KubeObject>(kind: Resource, object: KubeObject): Promise<T>;
  updateStatus<T extends KubeObject = KubeObject>(kind: Resource, object: KubeObject): Promise<T>;
  patch<T extends KubeObject = KubeObject>(
    kind: Resource,
    name: string,
    namespace: string | undefined,
    patch: unknown,
    options: PatchOptions,
  ): Promise<T>;
  /** The object as it is now if its deletion takes time; `undefined` when it is gone, or was before. */
  delete(
    kind: Resource,
    name: string,
    namespace?: string,
    options?: DeleteOptions,
  ): Promise<KubeObject | undefined>;
  /** Any request, any answer: nothing is thrown for a status of 400 and more. */
  raw(request: ApiRequest): Promise<ApiResponse>;
}

const patchTypes = {
  merge: "application/merge-patch+json",
  strategic: "application/strategic-merge-patch+json",
  json: "application/json-patch+json",
};

/** Objects per page of a list; client-go's reflectors ask for the same. */
const pageSize = 500;

/** A client that sends its requests through `transport`. */
export function createClient(transport: Transport): Client {
  const send = (method: ApiRequest["method"], path: string, body?: unknown, type = "application/json") =>
    sendJson(transport, method, path, body, type);
  return {
    transport,
    raw: (request) => transport.request(request),
    get: async <T extends KubeObject>(kind: Resource, name: string, namespace?: string) =>
      unlessNotFound<T>(send("GET", resourcePath(kind, namespace, name))),
    list: <T extends KubeObject>(kind: Resource, selection: Selection = {}) =>
      listAll<T>(send, kind, selection),
    create: async <T extends KubeObject>(kind: Resource, object: KubeObject, subresource?: string) => {
      const collection = resourcePath(kind, object.metadata?.namespace);
      const path = subresource === undefined ? collection : pathOf(kind, object, subresource);
      return (await send("POST", path, withType(kind, object))) as T;
    },
    update: async <T extends KubeObject>(kind: Resource, object: KubeObject) =>
      (await send("PUT", pathOf(kind, object), withType(kind, object))) as T,
    updateStatus: async <T extends KubeObject>(kind: Resource, object: KubeObject) =>
      (await send("PUT", pathOf(kind, object, "status"), withType(kind, object))) as T,
    patch: async <T extends KubeObject>(
      kind: Resource,
      name: string,
      namespace: string | undefined,
      patch: unknown,
      { type, subresource }: PatchOptions,
    ) =>
      (await send("PATCH", resourcePath(kind, namespace, name, subresource), patch, patchTypes[type])) as T,
    delete: async (kind, name, namespace, options = {}) => {
      const body = { apiVersion: "v1", kind: "DeleteOptions", ...options };
      const left = await unlessNotFound<KubeObject>(
        send("DELETE", resourcePath(kind, namespace, name), body),
      );
      return left?.metadata?.deletionTimestamp === undefined ? undefined : left;
    },
  };
}

function pathOf(kind: Resource, object: KubeObject, subresource?: string): string {
  return resourcePath(kind, object.metadata?.namespace, object.metadata?.name ?? "", subresource);
}

type Send = (method: ApiRequest["method"], path: string, body?: unknown, type?: string) => Promise<unknown>;

async function listAll<T extends KubeObject>(
  send: Send,
  kind: Resource,
  selection: Selection,
): Promise<ListResult<T>> {
  const items: T[] = [];
  const { namespace, labelSelector, fieldSelector } = selection;
  for (let next: string | undefined = ""; ;) {
    const path = withQuery(resourcePath(kind, namespace), {
      limit: String(pageSize),
      labelSelector,
      fieldSelector,
      continue: next,
    });
    const page = (await send("GET", path)) as {
      items?: T[] | null;
      metadata?: { continue?: string; resourceVersion?: string };
    };
    items.push(...(page.items ?? []));
    next = page.metadata?.continue;
    if (!next) return { items, resourceVersion: page.metadata?.resourceVersion ?? "" };
  }
}

async function unlessNotFound<T extends KubeObject>(answer: Promise<unknown>): Promise<T | undefined> {
  try {
    return (await answer) as T;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return undefined;
    throw error;
  }
}

function withType(kind: Resource, object: KubeObject): KubeObject {
  return { apiVersion: apiVersionOf(kind), kind: kind.kind, ...object };
}

async function sendJson(
  transport: Transport,
  method: ApiRequest["method"],
  path: string,
  body: unknown,
  contentType: string,
): Promise<unknown> {
  const response = await transport.request({
    method,
    path,
    headers: { accept: "application/json", ...(body === undefined ? {} : { "content-type": contentType }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await readBody(response.body);
  const answer = parseJson(text);
  const where = `${method} ${path}`;
  if (response.status >= 400)
    throw new ApiError(response.status, answer ?? { message: text.slice(0, 500) }, where);
  if (answer === undefined) {
    throw new InroadError("BadAnswer", "the API server's answer is not JSON", {
      where,
      mend: "check that the server URL is that of a Kubernetes API server",
    });
  }
  return answer;
}

/** The whole body as text. */
export async function readBody(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return new TextDecoder().decode(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
