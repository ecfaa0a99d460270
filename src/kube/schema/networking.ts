import type { Schemas } from "./types.ts";

/** Ingress, IngressClass, NetworkPolicy, ServiceCIDR, IPAddress. One line per field; the notation is explained in types.ts. */
export const networkingSchemas: Schemas = {
  package: "networking.v1",
  atomic: ["ServiceBackendPort"],
  types: {
    Ingress: {
      kind: "string",
      apiVersion: "string",
      metadata: "meta.v1.ObjectMeta",
      spec: "IngressSpec",
      status: "IngressStatus",
    },
    IngressClass: {
      kind: "string",
      apiVersion: "string",
      metadata: "meta.v1.ObjectMeta",
      spec: "IngressClassSpec",
    },
    NetworkPolicy: {
      kind: "string",
      apiVersion: "string",
      metadata: "meta.v1.ObjectMeta",
      spec: "NetworkPolicySpec",
    },
    IPAddress: {
      kind: "string",
      apiVersion: "string",
      metadata: "meta.v1.ObjectMeta",
      spec: "IPAddressSpec",
    },
    ServiceCIDR: {
      kind: "string",
      apiVersion: "string",
      metadata: "meta.v1.ObjectMeta",
      spec: "ServiceCIDRSpec",
      status: "ServiceCIDRStatus",
    },
    HTTPIngressPath: {
      path: "string",
      pathType: "*string required enum=Exact|ImplementationSpecific|Prefix",
      backend: "IngressBackend required",
    },
    HTTPIngressRuleValue: {
      paths: "[]HTTPIngressPath required list=atomic",
    },
    IngressBackend: {
      service: "*IngressServiceBackend",
      resource: "*core.v1.TypedLocalObjectReference",
    },
    IngressClassParametersReference: {
      apiGroup: "*string",
      kind: "string required",
      name: "string required",
      scope: "*string always",
      namespace: "*string",
    },
    IngressClassSpec: {
      controller: "string",
      parameters: "*IngressClassParametersReference",
    },
    IngressLoadBalancerIngress: {
      ip: "string",
      hostname: "string",
      ports: "[]IngressPortStatus list=atomic",
    },
    IngressLoadBalancerStatus: {
      ingress: "[]IngressLoadBalancerIngress list=atomic",
    },
    IngressPortStatus: {
      port: "int32 required",
      protocol: "string required enum=SCTP|TCP|UDP",
      error: "*string",
    },
    IngressRule: {
      host: "string",
      http: "*HTTPIngressRuleValue",
    },
    IngressServiceBackend: {
      name: "string required",
      port: "ServiceBackendPort",
    },
    IngressSpec: {
      ingressClassName: "*string",
      defaultBackend: "*IngressBackend",
      tls: "[]IngressTLS list=atomic",
      rules: "[]IngressRule list=atomic",
    },
    IngressStatus: {
      loadBalancer: "IngressLoadBalancerStatus",
    },
    IngressTLS: {
      hosts: "[]string list=atomic",
      secretName: "string",
    },
    IPAddressSpec: {
      parentRef: "*ParentReference required",
    },
    IPBlock: {
      cidr: "string required",
      except: "[]string list=atomic",
    },
    NetworkPolicyEgressRule: {
      ports: "[]NetworkPolicyPort list=atomic",
      to: "[]NetworkPolicyPeer list=atomic",
    },
    NetworkPolicyIngressRule: {
      ports: "[]NetworkPolicyPort list=atomic",
      from: "[]NetworkPolicyPeer list=atomic",
    },
    NetworkPolicyPeer: {
      podSelector: "*meta.v1.LabelSelector",
      namespaceSelector: "*meta.v1.LabelSelector",
      ipBlock: "*IPBlock",
    },
    NetworkPolicyPort: {
      protocol: "*string enum=SCTP|TCP|UDP",
      port: "*int-or-string",
      endPort: "*int32",
    },
    NetworkPolicySpec: {
      podSelector: "meta.v1.LabelSelector",
      ingress: "[]NetworkPolicyIngressRule list=atomic",
      egress: "[]NetworkPolicyEgressRule list=atomic",
      policyTypes: "[]string enum=Egress|Ingress list=atomic",
    },
    ParentReference: {
      group: "string",
      resource: "string required",
      namespace: "string",
      name: "string required",
    },
    ServiceBackendPort: {
      name: "string",
      number: "int32",
    },
    ServiceCIDRSpec: {
      cidrs: "[]string list=atomic",
    },
    ServiceCIDRStatus: {
      conditions: "[]meta.v1.Condition patch=merge(type) list=map(type)",
    },
  },
};
