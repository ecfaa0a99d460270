import type { Schemas } from "./types.ts";

/** Service and Endpoints. One line per field; the notation is explained in types.ts. */
export const coreServiceSchemas: Schemas = {
  package: "core.v1",
  atomic: ["EndpointAddress", "EndpointPort"],
  types: {
    Endpoints: {
      kind: "string",
      apiVersion: "string",
      metadata: "meta.v1.ObjectMeta",
      subsets: "[]EndpointSubset list=atomic",
    },
    Service: {
      kind: "string",
      apiVersion: "string",
      metadata: "meta.v1.ObjectMeta",
      spec: "ServiceSpec",
      status: "ServiceStatus",
    },
    ClientIPConfig: {
      timeoutSeconds: "*int32",
    },
    EndpointAddress: {
      ip: "string required",
      hostname: "string",
      nodeName: "*string",
      targetRef: "*ObjectReference",
    },
    EndpointPort: {
      name: "string",
      port: "int32 required",
      protocol: "string enum=SCTP|TCP|UDP",
      appProtocol: "*string",
    },
    EndpointSubset: {
      addresses: "[]EndpointAddress list=atomic",
      notReadyAddresses: "[]EndpointAddress list=atomic",
      ports: "[]EndpointPort list=atomic",
    },
    LoadBalancerIngress: {
      ip: "string",
      hostname: "string",
      ipMode: "*string",
      ports: "[]PortStatus list=atomic",
    },
    LoadBalancerStatus: {
      ingress: "[]LoadBalancerIngress list=atomic",
    },
    PortStatus: {
      port: "int32 required",
      protocol: "string required enum=SCTP|TCP|UDP",
      error: "*string",
    },
    ServicePort: {
      name: "string",
      protocol: "string default=TCP enum=SCTP|TCP|UDP",
      appProtocol: "*string",
      port: "int32 required",
      targetPort: "int-or-string",
      nodePort: "int32",
    },
    ServiceSpec: {
      ports: "[]ServicePort patch=merge(port) list=map(port,protocol)",
      selector: "{}string map=atomic",
      clusterIP: "string",
      clusterIPs: "[]string list=atomic",
      type: "string enum=ClusterIP|ExternalName|LoadBalancer|NodePort",
      externalIPs: "[]string list=atomic",
      sessionAffinity: "string enum=ClientIP|None",
      loadBalancerIP: "string",
      loadBalancerSourceRanges: "[]string list=atomic",
      externalName: "string",
      externalTrafficPolicy: "string enum=Cluster|Local",
      healthCheckNodePort: "int32",
      publishNotReadyAddresses: "bool",
      sessionAffinityConfig: "*SessionAffinityConfig",
      ipFamilies: "[]string enum=|IPv4|IPv6 list=atomic",
      ipFamilyPolicy: "*string enum=PreferDualStack|RequireDualStack|SingleStack",
      allocateLoadBalancerNodePorts: "*bool",
      loadBalancerClass: "*string",
      internalTrafficPolicy: "*string enum=Cluster|Local",
      trafficDistribution: "*string",
    },
    ServiceStatus: {
      loadBalancer: "LoadBalancerStatus",
      conditions: "[]meta.v1.Condition patch=merge(type) list=map(type)",
    },
    SessionAffinityConfig: {
      clientIP: "*ClientIPConfig",
    },
  },
};
