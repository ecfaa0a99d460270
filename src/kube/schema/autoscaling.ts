import type { Schemas } from "./types.ts";

/** Scale, the body of the scale subresource. One line per field; the notation is explained in types.ts. */
export const autoscalingSchemas: Schemas = {
  package: "autoscaling.v1",
  types: {
    Scale: {
      kind: "string",
      apiVersion: "string",
      metadata: "meta.v1.ObjectMeta",
      spec: "ScaleSpec",
      status: "ScaleStatus",
    },
    ScaleSpec: {
      replicas: "int32 default=0",
    },
    ScaleStatus: {
      replicas: "int32 required",
      selector: "string",
    },
  },
};
