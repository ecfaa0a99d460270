import type { Schemas } from "./types.ts";

/** Eviction, the body of the pod eviction subresource. One line per field; the notation is explained in types.ts. */
export const policySchemas: Schemas = {
  package: "policy.v1",
  types: {
    Eviction: {
      kind: "string",
      apiVersion: "string",
      metadata: "meta.v1.ObjectMeta",
      deleteOptions: "*meta.v1.DeleteOptions",
    },
  },
};
