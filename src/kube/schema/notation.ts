import { scalars, type Field, type FieldType, type Scalar } from "./types.ts";

const isScalar = (text: string): text is Scalar => scalars.some((scalar) => scalar === text);

function parseType(text: string, packageName: string): FieldType {
  if (text.startsWith("[]")) return { is: "list", item: parseType(text.slice(2), packageName) };
  if (text.startsWith("{}")) return { is: "map", item: parseType(text.slice(2), packageName) };
  if (isScalar(text)) return { is: "scalar", scalar: text };
  return { is: "type", name: text.includes(".") ? text : `${packageName}.${text}` };
}

/** `merge(name)` -> `["merge", ["name"]]`; `map(port,protocol)` -> `["map", ["port", "protocol"]]`. */
function withArguments(text: string): [string, string[]] {
  const match = /^([^(]*)\((.*)\)$/.exec(text);
  return match ? [match[1] ?? "", (match[2] ?? "").split(",")] : [text, []];
}

function listTypeOf(text: string): "atomic" | "set" | "map" | undefined {
  return text === "atomic" || text === "set" || text === "map" ? text : undefined;
}

function typedDefault(type: FieldType, text: string): string | number | boolean {
  if (type.is !== "scalar") return text;
  if (type.scalar === "bool") return text === "true";
  return type.scalar === "int32" ? Number(text) : text;
}

/** Reads one line of a schema file (the notation is explained at `Schemas`). */
export function parseField(name: string, line: string, packageName: string): Field {
  const [typeText = "", ...words] = line.split(" ");
  const pointer = typeText.startsWith("*");
  const type = parseType(pointer ? typeText.slice(1) : typeText, packageName);
  const value = (key: string): string | undefined =>
    words.find((word) => word.startsWith(`${key}=`))?.slice(key.length + 1);
  const [patch, mergeKeys] = withArguments(value("patch") ?? "");
  const [list, listKeys] = withArguments(value("list") ?? "");
  const required = words.includes("required");
  const [mergeKey] = mergeKeys;
  const listType = listTypeOf(list);
  const defaultValue = value("default");
  const enumValues = value("enum");
  return {
    name,
    type,
    pointer,
    required,
    always: words.includes("always") || (required && !words.includes("omitempty")),
    ...(defaultValue === undefined ? {} : { default: typedDefault(type, defaultValue) }),
    ...(enumValues === undefined ? {} : { enum: enumValues.split("|") }),
    patchStrategies: patch === "" ? [] : patch.split(","),
    ...(mergeKey === undefined ? {} : { patchMergeKey: mergeKey }),
    ...(listType === undefined ? {} : { listType }),
    listKeys,
    atomicMap: value("map") === "atomic",
  };
}
