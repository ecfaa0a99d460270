/** The Node object and Lease by which a node agent announces its node. Pure. */
import { arch, cpus, hostname, release, totalmem } from "node:os";
import type { KubeObject } from "#kube";

export interface AgentNode {
  readonly name: string;
  /** The IPv4 one of `addresses`; the agent itself listens there. */
  readonly address: string;
  /** InternalIPs, the primary one first. */
  readonly addresses: readonly string[];
  /** One of each family, the primary one first. */
  readonly podCIDRs: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Port of the node agent's own HTTP endpoint, the kubelet's. */
export const agentPort = 10250;

export function nodeObject(node: AgentNode, now: string): KubeObject {
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      name: node.name,
      labels: {
        "kubernetes.io/hostname": node.name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": architecture(),
        ...node.labels,
      },
      annotations: { ...node.annotations },
    },
    spec: { podCIDR: node.podCIDRs[0], podCIDRs: [...node.podCIDRs] },
    status: nodeStatus(node, now),
  };
}

/** The status without what others set; `now` is RFC 3339 with whole seconds. */
export function nodeStatus(
  { name, addresses }: AgentNode,
  now: string,
): { readonly addresses: readonly Record<string, string>[] } & Record<string, unknown> {
  const resources = { cpu: String(cpus().length), memory: `${Math.floor(totalmem() / 1024)}Ki`, pods: "110" };
  return {
    addresses: [
      ...addresses.map((address) => ({ type: "InternalIP", address })),
      { type: "Hostname", address: name },
    ],
    capacity: resources,
    allocatable: resources,
    daemonEndpoints: { kubeletEndpoint: { Port: agentPort } },
    conditions: nodeConditions(now),
    nodeInfo: {
      architecture: architecture(),
      operatingSystem: "linux",
      osImage: "Inroad",
      kernelVersion: release(),
      kubeletVersion: "v1.34.0+inroad",
      kubeProxyVersion: "",
      containerRuntimeVersion: "inroad://1",
      machineID: hostname(),
      systemUUID: name,
      bootID: name,
    },
  };
}

const pressures = [
  ["MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"],
  ["DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"],
  ["PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available"],
] as const;

function nodeConditions(now: string): Record<string, string>[] {
  const times = { lastHeartbeatTime: now, lastTransitionTime: now };
  return [
    ...pressures.map(([type, reason, message]) => ({ type, status: "False", reason, message, ...times })),
    {
      type: "Ready",
      status: "True",
      reason: "KubeletReady",
      message: "kubelet is posting ready status",
      ...times,
    },
  ];
}

function architecture(): string {
  const names: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };
  return names[arch()] ?? arch();
}

/** `renewTime` carries microseconds, as the API's MicroTime does. */
export function leaseObject(node: string, durationSeconds: number, nowMs: number): KubeObject {
  return {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { name: node, namespace: "kube-node-lease" },
    spec: {
      holderIdentity: node,
      leaseDurationSeconds: durationSeconds,
      renewTime: new Date(nowMs).toISOString().replace("Z", "000Z"),
    },
  };
}
