import { type Document, LineCounter, parseAllDocuments, type Tags, type YAMLError } from "yaml";
import { InroadError, messageOf } from "#lib/errors";
import { at, isJsonObject, type JsonObject } from "../json.ts";
import type { KubeObject } from "../types.ts";
import { nodeOf, positionIn } from "./position.ts";
import { plainValue } from "./plain.ts";

/** One object of a manifest file and where it stands. */
export interface Manifest {
  readonly object: KubeObject;
  readonly file: string;
  /** Line of the first field of the object, from 1. */
  readonly line: number;
  /**
   * `line:column` (both from 1) of a field such as `spec.ports[0].port`, or of the nearest field around it that is written
   * down; undefined when there is none.
   */
  positionOf(field: string): string | undefined;
}

/** A cluster's manifests are text for people; what is larger is a mistake or an attack. */
const maxBytes = 16 * 1024 * 1024;

/** The types of YAML 1.1 as Kubernetes reads them: without times, base-60 numbers, sets and the like. */
const kubernetesTags = new Set(["map", "seq", "str", "null", "bool", "int", "float", "merge"]);

function tagsOf(tags: Tags): Tags {
  return tags.filter((tag) => {
    if (typeof tag === "string") return kubernetesTags.has(tag);
    const sexagesimal = "format" in tag && tag.format === "TIME";
    return !sexagesimal && kubernetesTags.has(tag.tag.slice(tag.tag.lastIndexOf(":") + 1));
  });
}

/**
 * Reads a manifest file: YAML with any number of documents, or JSON; lists (`kind: List`) are taken apart, empty documents
 * skipped. Booleans and octal numbers are those of YAML 1.1, as in kubectl.
 * @throws InroadError `YamlSyntax` (also for a field written twice), `InvalidManifest` (a document that is no object),
 *   `ManifestTooLarge` (over 16 MiB, 100 levels or 500,000 values once aliases are expanded); `where` is file:line:column.
 */
export function parseManifests(text: string, file: string): Manifest[] {
  if (text.length > maxBytes) {
    throw new InroadError("ManifestTooLarge", "the manifest is larger than 16 MiB", {
      where: file,
      mend: "split it into several files",
    });
  }
  const lines = new LineCounter();
  const documents = parseDocuments(text, file, lines);
  return documents.flatMap((document) => manifestsOf(document, file, lines));
}

function parseDocuments(text: string, file: string, lines: LineCounter): Document.Parsed[] {
  let documents: Document.Parsed[];
  try {
    const parsed = parseAllDocuments(text, { version: "1.1", lineCounter: lines, customTags: tagsOf });
    documents = Array.isArray(parsed) ? parsed : [];
  } catch (error) {
    throw tooLarge(file, exhausted(messageOf(error)) ? "nested too deeply" : messageOf(error));
  }
  for (const document of documents) {
    const [error] = document.errors;
    if (error) throw syntaxError(error, file, lines);
  }
  return documents;
}

/** The parser is recursive: thousands of levels exhaust its stack. */
const exhausted = (message: string): boolean => message.includes("call stack");

function syntaxError(error: YAMLError, file: string, lines: LineCounter): InroadError {
  const { line, col } = lines.linePos(error.pos[0]);
  if (exhausted(error.message)) return tooLarge(`${file}:${line}:${col}`, "nested too deeply");
  // The parser repeats the place and shows the line; the first line says what is wrong.
  const what = (error.message.split("\n")[0] ?? "").replace(/ at line \d+, column \d+:?$/, "");
  return badSyntax(`${file}:${line}:${col}`, what);
}

const badSyntax = (where: string, what: string): InroadError =>
  new InroadError("YamlSyntax", what, { where, mend: "correct the YAML there" });

const tooLarge = (where: string, what: string): InroadError =>
  new InroadError("ManifestTooLarge", what, { where, mend: "split the manifest or write aliases out" });

function manifestsOf(document: Document.Parsed, file: string, lines: LineCounter): Manifest[] {
  const root = document.contents;
  const value = valueOf(document, file, lines);
  if (value === null || value === undefined) return [];
  const place = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${line}:${col}`;
  };
  if (!isJsonObject(value)) throw notAnObject(`${file}:${place(root?.range[0] ?? 0)}`);
  const items = at(value, "items");
  if (!isList(value) || !Array.isArray(items)) return [manifest(value, "")];
  return items.map((item: unknown, index) => {
    const prefix = `items[${index}]`;
    if (isJsonObject(item)) return manifest(item, prefix);
    const node = positionIn(document, root, prefix);
    throw notAnObject(`${file}:${place(node ?? 0)}`);
  });

  function manifest(object: JsonObject, prefix: string): Manifest {
    const node = prefix === "" ? root : nodeOf(document, root, prefix);
    const start = lines.linePos(node?.range?.[0] ?? 0);
    const positionOf = (field: string): string | undefined => {
      const offset = positionIn(document, node, field);
      return offset === undefined ? undefined : place(offset);
    };
    return { object, file, line: start.line, positionOf };
  }
}

/** A list of objects: `List`, or the list of one kind. */
const isList = (value: JsonObject): boolean =>
  typeof value["kind"] === "string" && value["kind"].endsWith("List");

function valueOf(document: Document.Parsed, file: string, lines: LineCounter): unknown {
  const { line, col } = lines.linePos(document.contents?.range[0] ?? 0);
  try {
    return plainValue(document.toJS({ maxAliasCount: 1000 }));
  } catch (error) {
    const where = `${file}:${line}:${col}`;
    const what = messageOf(error);
    throw what.startsWith("Unresolved alias") ? badSyntax(where, what) : tooLarge(where, what);
  }
}

const notAnObject = (where: string): InroadError =>
  new InroadError("InvalidManifest", "a manifest must be an object with apiVersion and kind", {
    where,
    mend: "separate documents by a line of three dashes",
  });
