import { tableCells, tableColumns, tableRowConditions } from "#kube/server";
import type { KindInfo, KubeObject } from "#kube";
import { apiVersionOf } from "./body.ts";
import type { IncludeObject, Representation } from "./negotiation.ts";
import { ApiFault } from "./status.ts";

/** How a client wants to see objects. */
export interface View {
  readonly kind: KindInfo;
  readonly representation: Representation;
  readonly include: IncludeObject;
  readonly now: Date;
}

export interface ListMeta {
  readonly resourceVersion: string;
  readonly continue?: string;
  readonly remainingItemCount?: number;
}

const metaVersion = (view: View): string => `meta.k8s.io/${view.representation.version}`;

const metadataOf = (view: View, object: KubeObject): KubeObject => ({
  kind: "PartialObjectMetadata",
  apiVersion: metaVersion(view),
  metadata: object.metadata ?? {},
});

/** One object in the wanted form. */
export function renderObject(view: View, object: KubeObject): unknown {
  if (view.representation.as === "metadata") return metadataOf(view, object);
  if (view.representation.as === "table") {
    const { resourceVersion } = object.metadata ?? {};
    return renderTable(view, [object], resourceVersion === undefined ? {} : { resourceVersion }, true);
  }
  return object;
}

/** A collection in the wanted form; items of plain lists carry neither apiVersion nor kind. */
export function renderList(view: View, items: readonly KubeObject[], meta: ListMeta): unknown {
  if (view.representation.as === "table") return renderTable(view, items, meta, true);
  if (view.representation.as === "metadata") {
    return {
      kind: "PartialObjectMetadataList",
      apiVersion: metaVersion(view),
      metadata: meta,
      items: items.map((item) => metadataOf(view, item)),
    };
  }
  return {
    kind: view.kind.listKind,
    apiVersion: apiVersionOf(view.kind),
    metadata: meta,
    items: items.map(({ kind: _kind, apiVersion: _apiVersion, ...item }) => item),
  };
}

/** A `meta.k8s.io` Table; in a watch only the first one has its columns. */
export function renderTable(
  view: View,
  items: readonly KubeObject[],
  metadata: Partial<ListMeta>,
  columns: boolean,
): unknown {
  return {
    kind: "Table",
    apiVersion: metaVersion(view),
    metadata,
    columnDefinitions: columns ? tableColumns(view.kind) : null,
    rows: items.map((item) => tableRow(view, item)),
  };
}

function tableRow(view: View, item: KubeObject): unknown {
  const conditions = tableRowConditions(view.kind, item);
  return {
    cells: tableCells(view.kind, item, view.now),
    ...(conditions.length === 0 ? {} : { conditions }),
    object: view.include === "None" ? null : view.include === "Object" ? item : metadataOf(view, item),
  };
}

/** 406 for clients that ask for a single object as a list or the reverse. */
export function checkShape(accept: string | undefined, kind: KindInfo, list: boolean): void {
  const wanted = /as=(PartialObjectMetadata(?:List)?)\b/.exec((accept ?? "").split(",")[0] ?? "")?.[1];
  if (wanted === undefined || wanted.endsWith("List") === list) return;
  const shape = list
    ? `is a list (*${kind.group || "core"}.${kind.listKind})`
    : `is not a list (*${kind.group || "core"}.${kind.kind})`;
  throw new ApiFault(406, "NotAcceptable", `you requested ${wanted}, but the requested object ${shape}`);
}
