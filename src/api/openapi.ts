import { createHash } from "node:crypto";
import type { ApiResponse } from "#client";
import type { KindInfo } from "#kube";
import type { Context } from "./context.ts";
import { once } from "./read.ts";
import { unknownResource } from "./status.ts";

interface Document {
  readonly bytes: Uint8Array;
  readonly hash: string;
}

/** Documents by path (`api/v1`, `apis/apps/v1`), made at their first use: they never change. */
const made = new WeakMap<readonly KindInfo[], Map<string, Document>>();

function documentsOf(kinds: readonly KindInfo[]): Map<string, Document> {
  let documents = made.get(kinds);
  if (documents === undefined) made.set(kinds, (documents = new Map()));
  return documents;
}

async function documentAt(kinds: readonly KindInfo[], path: string): Promise<Document | undefined> {
  const known = documentsOf(kinds).get(path);
  if (known !== undefined) return known;
  const served = kinds.find((kind) => pathOf(kind) === path);
  if (served === undefined) return undefined;
  // Only clients such as kubectl ask.
  const { openApiDocument } = await import("#kube/openapi");
  const bytes = Buffer.from(JSON.stringify(openApiDocument(served.group, served.version)));
  const hash = createHash("sha512").update(bytes).digest("hex").toUpperCase();
  const document = { bytes, hash };
  documentsOf(kinds).set(path, document);
  return document;
}

const pathOf = (kind: KindInfo): string =>
  kind.group === "" ? `api/${kind.version}` : `apis/${kind.group}/${kind.version}`;

/**
 * The index of OpenAPI v3 documents, or one of them. The index names each document with a hash of its
 * content, which clients use as the key of their cache.
 */
export async function handleOpenApi(context: Context, document: string | undefined): Promise<ApiResponse> {
  const headers = { "content-type": "application/json" };
  if (document !== undefined) {
    const found = await documentAt(context.kinds, document);
    if (found === undefined) throw unknownResource();
    return { status: 200, headers, body: once(found.bytes) };
  }
  const paths: Record<string, unknown> = {};
  for (const path of [...new Set(context.kinds.map((kind) => pathOf(kind)))].sort()) {
    const hash = (await documentAt(context.kinds, path))?.hash ?? "";
    paths[path] = { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` };
  }
  return { status: 200, headers, body: once(Buffer.from(JSON.stringify({ paths }))) };
}
