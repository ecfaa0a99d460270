/** Kubernetes objects, pure: what everybody needs of them. Kinds, selectors and the shape of an object. */
export { componentOf } from "./component.ts";
export { kindByPlural, kindOf, kinds, qualifiedName, type KindInfo, type Subresource } from "./kinds.ts";
export { withLastApplied } from "./last-applied.ts";
export { parseQuantity } from "./quantity.ts";
export { matchesFields, parseFieldSelector, type FieldSelector } from "./selectors/field.ts";
export { matchesLabels, parseLabelSelector, SelectorError, type LabelSelector } from "./selectors/label.ts";
export { labelSelectorMatches, parseSelectorObject } from "./selectors/object.ts";
export type { FieldError } from "./validation/errors.ts";
export type { KubeObject, ObjectMeta, OwnerReference, Resource } from "./types.ts";
