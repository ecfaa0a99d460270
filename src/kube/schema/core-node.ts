import type { Schemas } from "./types.ts";

/** Node. One line per field; the notation is explained in types.ts. */
export const coreNodeSchemas: Schemas = {
  package: "core.v1",
  types: {
    Node: {
      kind: "string",
      apiVersion: "string",
      metadata: "meta.v1.ObjectMeta",
      spec: "NodeSpec",
      status: "NodeStatus",
    },
    AttachedVolume: {
      name: "string required",
      devicePath: "string required",
    },
    ConfigMapNodeConfigSource: {
      namespace: "string required",
      name: "string required",
      uid: "string",
      resourceVersion: "string",
      kubeletConfigKey: "string required",
    },
    ContainerImage: {
      names: "[]string always list=atomic",
      sizeBytes: "int64",
    },
    DaemonEndpoint: {
      Port: "int32 required",
    },
    NodeAddress: {
      type: "string required",
      address: "string required",
    },
    NodeCondition: {
      type: "string required",
      status: "string required",
      lastHeartbeatTime: "time",
      lastTransitionTime: "time",
      reason: "string",
      message: "string",
    },
    NodeConfigSource: {
      configMap: "*ConfigMapNodeConfigSource",
    },
    NodeConfigStatus: {
      assigned: "*NodeConfigSource",
      active: "*NodeConfigSource",
      lastKnownGood: "*NodeConfigSource",
      error: "string",
    },
    NodeDaemonEndpoints: {
      kubeletEndpoint: "DaemonEndpoint",
    },
    NodeFeatures: {
      supplementalGroupsPolicy: "*bool",
    },
    NodeRuntimeHandler: {
      name: "string always",
      features: "*NodeRuntimeHandlerFeatures",
    },
    NodeRuntimeHandlerFeatures: {
      recursiveReadOnlyMounts: "*bool",
      userNamespaces: "*bool",
    },
    NodeSpec: {
      podCIDR: "string",
      podCIDRs: "[]string patch=merge list=set",
      providerID: "string",
      unschedulable: "bool",
      taints: "[]Taint list=atomic",
      configSource: "*NodeConfigSource",
      externalID: "string",
    },
    NodeStatus: {
      capacity: "{}quantity",
      allocatable: "{}quantity",
      phase: "string enum=Pending|Running|Terminated",
      conditions: "[]NodeCondition patch=merge(type) list=map(type)",
      addresses: "[]NodeAddress patch=merge(type) list=map(type)",
      daemonEndpoints: "NodeDaemonEndpoints",
      nodeInfo: "NodeSystemInfo",
      images: "[]ContainerImage list=atomic",
      volumesInUse: "[]string list=atomic",
      volumesAttached: "[]AttachedVolume list=atomic",
      config: "*NodeConfigStatus",
      runtimeHandlers: "[]NodeRuntimeHandler list=atomic",
      features: "*NodeFeatures",
    },
    NodeSwapStatus: {
      capacity: "*int64",
    },
    NodeSystemInfo: {
      machineID: "string required",
      systemUUID: "string required",
      bootID: "string required",
      kernelVersion: "string required",
      osImage: "string required",
      containerRuntimeVersion: "string required",
      kubeletVersion: "string required",
      kubeProxyVersion: "string required",
      operatingSystem: "string required",
      architecture: "string required",
      swap: "*NodeSwapStatus",
    },
    Taint: {
      key: "string required",
      value: "string",
      effect: "string required enum=NoExecute|NoSchedule|PreferNoSchedule",
      timeAdded: "*time",
    },
  },
};
