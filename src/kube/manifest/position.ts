import { type Document, isAlias, isMap, isNode, isScalar, isSeq, type Node } from "yaml";

interface Found {
  /** Where the field, or the nearest one around it, begins. */
  readonly offset: number | undefined;
  readonly node: Node | null;
  /** What is left of the path. */
  readonly rest: string;
}

/** Whether a path continues with this field name: `spec` in `spec.ports`. */
function startsWith(path: string, name: string): boolean {
  const next = path[name.length];
  return (
    path.slice(0, name.length).toLowerCase() === name.toLowerCase() &&
    (next === undefined || next === "." || next === "[")
  );
}

/** One step from a map or a list along a path; undefined when the path leaves what is written. */
function step(node: Node, path: string): Found | undefined {
  if (isMap(node)) {
    // Names may contain dots, so the longest one that fits is meant; a key can also stand in brackets: `data[tls.crt]`.
    let best: { found: Found; length: number } | undefined;
    for (const { key, value } of node.items) {
      if (!isScalar(key)) continue;
      const name = String(key.value);
      const form = path.startsWith(`[${name}]`) ? `[${name}]` : startsWith(path, name) ? name : undefined;
      if (form === undefined || form === "" || form.length <= (best?.length ?? 0)) continue;
      const inner = isNode(value) ? value : null;
      const offset = isScalar(inner) ? inner.range?.[0] : key.range?.[0];
      best = { found: { offset, node: inner, rest: path.slice(form.length) }, length: form.length };
    }
    return best?.found;
  }
  const index = isSeq(node) ? /^\[(\d+)\]/.exec(path) : null;
  const item = index && isSeq(node) ? node.items[Number(index[1])] : undefined;
  if (!index || !isNode(item)) return undefined;
  return { offset: item.range?.[0], node: item, rest: path.slice(index[0].length) };
}

function walk(document: Document.Parsed, start: Node | null | undefined, field: string): Found {
  let found: Found = { offset: start?.range?.[0], node: start ?? null, rest: field };
  while (found.rest !== "") {
    const node = isAlias(found.node) ? (found.node.resolve(document) ?? null) : found.node;
    const next = node === null ? undefined : step(node, found.rest.replace(/^\./, ""));
    if (next === undefined) break;
    found = next;
  }
  return found;
}

/** Offset of a field below a node, or of the nearest field around it that is written down. */
export function positionIn(
  document: Document.Parsed,
  start: Node | null | undefined,
  field: string,
): number | undefined {
  return walk(document, start, field).offset;
}

/** The node of a field below a node; null when it is not there. */
export function nodeOf(
  document: Document.Parsed,
  start: Node | null | undefined,
  field: string,
): Node | null {
  const found = walk(document, start, field);
  return found.rest === "" ? found.node : null;
}
