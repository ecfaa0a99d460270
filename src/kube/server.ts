/**
 * The door for who stores or checks objects, as an API server does: schema, defaults, validation, patches, tables. It is
 * large, so the components that only read objects go without it.
 */
export { applyDefaults } from "./defaults.ts";
export { goText, PatchError } from "./patch/directives.ts";
export { mergePatch } from "./patch/merge.ts";
export { strategicMergePatch } from "./patch/strategic.ts";
export { prepareForCreate, prepareForUpdate } from "./prepare.ts";
export { withProgrammedGate } from "./programmed-gate.ts";
export { prune, unknownFields } from "./prune.ts";
export { resolveFamilies } from "./service-families.ts";
export { tableCells, tableColumns, tableRowConditions, type ColumnDefinition } from "./tables/index.ts";
export { typeError, undecodable } from "./type-error.ts";
export { validate } from "./validation/index.ts";
export { findingsText, invalidStatus } from "./validation/status.ts";
