import type { Schemas } from "./types.ts";

/** PodDisruptionBudget, and Eviction, the body of the pod eviction subresource. One line per field; the notation is explained in types.ts. */
export const policySchemas: Schemas = {
  package: "policy.v1",
  types: {
    PodDisruptionBudget: {
      kind: "string",
      apiVersion: "string",
      metadata: "meta.v1.ObjectMeta",
      spec: "PodDisruptionBudgetSpec",
      status: "PodDisruptionBudgetStatus",
    },
    Eviction: {
      kind: "string",
      apiVersion: "string",
      metadata: "meta.v1.ObjectMeta",
      deleteOptions: "*meta.v1.DeleteOptions",
    },
    PodDisruptionBudgetSpec: {
      minAvailable: "*int-or-string",
      selector: "*meta.v1.LabelSelector patch=replace",
      maxUnavailable: "*int-or-string",
      unhealthyPodEvictionPolicy: "*string enum=AlwaysAllow|IfHealthyBudget",
    },
    PodDisruptionBudgetStatus: {
      observedGeneration: "int64",
      disruptedPods: "{}time",
      disruptionsAllowed: "int32 required",
      currentHealthy: "int32 required",
      desiredHealthy: "int32 required",
      expectedPods: "int32 required",
      conditions: "[]meta.v1.Condition patch=merge(type) list=map(type)",
    },
  },
};
