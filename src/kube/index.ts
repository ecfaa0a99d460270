/** Kubernetes objects, pure: kinds, schema, defaults, validation, patches, selectors, tables, manifests, OpenAPI. */
export { applyDefaults } from "./defaults.ts";
export { kindByPlural, kindOf, kinds, qualifiedName, type KindInfo, type Subresource } from "./kinds.ts";
export { parseManifests, type Manifest } from "./manifest/parse.ts";
export { openApiDocument } from "./openapi/document.ts";
export { goText, PatchError } from "./patch/directives.ts";
export { mergePatch } from "./patch/merge.ts";
export { strategicMergePatch } from "./patch/strategic.ts";
export { prepareForCreate, prepareForUpdate } from "./prepare.ts";
export { prune, unknownFields } from "./prune.ts";
export { matchesFields, parseFieldSelector, type FieldSelector } from "./selectors/field.ts";
export { matchesLabels, parseLabelSelector, SelectorError, type LabelSelector } from "./selectors/label.ts";
export { labelSelectorMatches } from "./selectors/object.ts";
export { tableCells, tableColumns, tableRowConditions, type ColumnDefinition } from "./tables/index.ts";
export { typeError, undecodable } from "./type-error.ts";
export type { KubeObject, ObjectMeta, OwnerReference, Resource } from "./types.ts";
export type { FieldError } from "./validation/errors.ts";
export { validate } from "./validation/index.ts";
export { findingsText, invalidStatus } from "./validation/status.ts";
