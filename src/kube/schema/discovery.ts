import type { Schemas } from "./types.ts";

/** EndpointSlice. One line per field; the notation is explained in types.ts. */
export const discoverySchemas: Schemas = {
  package: "discovery.v1",
  atomic: ["EndpointPort"],
  types: {
    EndpointSlice: {
      kind: "string",
      apiVersion: "string",
      metadata: "meta.v1.ObjectMeta",
      addressType: "string required enum=FQDN|IPv4|IPv6",
      endpoints: "[]Endpoint required list=atomic",
      ports: "[]EndpointPort always list=atomic",
    },
    Endpoint: {
      addresses: "[]string required list=set",
      conditions: "EndpointConditions",
      hostname: "*string",
      targetRef: "*core.v1.ObjectReference",
      deprecatedTopology: "{}string",
      nodeName: "*string",
      zone: "*string",
      hints: "*EndpointHints",
    },
    EndpointConditions: {
      ready: "*bool",
      serving: "*bool",
      terminating: "*bool",
    },
    EndpointHints: {
      forZones: "[]ForZone list=atomic",
      forNodes: "[]ForNode list=atomic",
    },
    EndpointPort: {
      name: "*string",
      protocol: "*string enum=SCTP|TCP|UDP",
      port: "*int32",
      appProtocol: "*string",
    },
    ForNode: {
      name: "string required",
    },
    ForZone: {
      name: "string required",
    },
  },
};
