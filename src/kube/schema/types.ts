/**
 * The notation of the schema files: one line per field, `name: "TYPE word word ..."`.
 *
 * TYPE is a scalar (`string int32 int64 bool int-or-string quantity time micro-time bytes`), `object` (any JSON),
 * a name of another type (`ServicePort`, or with its package `meta.v1.ObjectMeta`), `[]TYPE` a list, `{}TYPE` a map from
 * strings. A leading `*` means that absent differs from zero (a pointer in the Go types): `replicas: 0` is kept, while
 * the zero value of a plain optional scalar is dropped when stored. A plain time that is not set is written as null.
 *
 * Words: `required`; `always` (written even when empty, though not required); `omitempty` (required, yet dropped when
 * empty); `default=X` (X may be empty); `enum=A|B`; `patch=merge(KEY)`, `patch=merge`, `patch=retainKeys`, `patch=replace` (strategic
 * merge patch); `list=atomic|set|map(KEYS)` and `map=atomic` (ownership of items, server-side apply).
 */
export interface Schemas {
  /** Package of the types in this file: `core.v1`. */
  readonly package: string;
  /** Types that are owned and replaced as a whole by server-side apply. */
  readonly atomic?: readonly string[];
  readonly types: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

export const scalars = [
  "string",
  "int32",
  "int64",
  "bool",
  "int-or-string",
  "quantity",
  "time",
  "micro-time",
  "bytes",
  "object",
] as const;

export type Scalar = (typeof scalars)[number];

export type FieldType =
  | { readonly is: "scalar"; readonly scalar: Scalar }
  | { readonly is: "list"; readonly item: FieldType }
  | { readonly is: "map"; readonly item: FieldType }
  /** `name` with its package: `core.v1.ServicePort`. */
  | { readonly is: "type"; readonly name: string };

export interface Field {
  readonly name: string;
  readonly type: FieldType;
  /** Absent differs from zero. */
  readonly pointer: boolean;
  readonly required: boolean;
  /** Written even when its value is zero. */
  readonly always: boolean;
  readonly default?: string | number | boolean;
  readonly enum?: readonly string[];
  /** Strategic merge patch: `merge`, `retainKeys`, `replace`. */
  readonly patchStrategies: readonly string[];
  readonly patchMergeKey?: string;
  readonly listType?: "atomic" | "set" | "map";
  readonly listKeys: readonly string[];
  readonly atomicMap: boolean;
}

export interface TypeSchema {
  /** With its package: `core.v1.ServicePort`. */
  readonly name: string;
  readonly fields: ReadonlyMap<string, Field>;
  readonly atomic: boolean;
}
