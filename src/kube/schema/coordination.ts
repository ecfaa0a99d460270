import type { Schemas } from "./types.ts";

/** Lease. One line per field; the notation is explained in types.ts. */
export const coordinationSchemas: Schemas = {
  package: "coordination.v1",
  types: {
    Lease: {
      kind: "string",
      apiVersion: "string",
      metadata: "meta.v1.ObjectMeta",
      spec: "LeaseSpec",
    },
    LeaseSpec: {
      holderIdentity: "*string",
      leaseDurationSeconds: "*int32",
      acquireTime: "*micro-time",
      renewTime: "*micro-time",
      leaseTransitions: "*int32",
      strategy: "*string",
      preferredHolder: "*string",
    },
  },
};
