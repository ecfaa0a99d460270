import type { JsonObject } from "./json.ts";

/**
 * Constants that a server fills in where a field is absent, by type. What depends on other fields is in
 * `defaults.ts`; defaults that OpenAPI states stand in the schema files.
 */
export const constantDefaults: Readonly<Record<string, JsonObject>> = {
  "core.v1.PodSpec": {
    restartPolicy: "Always",
    terminationGracePeriodSeconds: 30,
    dnsPolicy: "ClusterFirst",
    securityContext: {},
    schedulerName: "default-scheduler",
  },
  "core.v1.Container": { terminationMessagePath: "/dev/termination-log", terminationMessagePolicy: "File" },
  "core.v1.EphemeralContainer": {
    terminationMessagePath: "/dev/termination-log",
    terminationMessagePolicy: "File",
  },
  "core.v1.Probe": { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 },
  "core.v1.HTTPGetAction": { path: "/", scheme: "HTTP" },
  "core.v1.GRPCAction": { service: "" },
  "core.v1.ObjectFieldSelector": { apiVersion: "v1" },
  "core.v1.SecretVolumeSource": { defaultMode: 0o644 },
  "core.v1.ConfigMapVolumeSource": { defaultMode: 0o644 },
  "core.v1.DownwardAPIVolumeSource": { defaultMode: 0o644 },
  "core.v1.ProjectedVolumeSource": { defaultMode: 0o644 },
  "core.v1.ServiceAccountTokenProjection": { expirationSeconds: 3600 },
  "core.v1.HostPathVolumeSource": { type: "" },
  "core.v1.ISCSIVolumeSource": { iscsiInterface: "default" },
  "core.v1.PersistentVolumeClaimSpec": { volumeMode: "Filesystem" },
  "core.v1.PersistentVolumeClaimStatus": { phase: "Pending" },
  "core.v1.ServiceSpec": { type: "ClusterIP", sessionAffinity: "None" },
  "core.v1.EndpointPort": { protocol: "TCP" },
  "core.v1.NamespaceStatus": { phase: "Active" },
  "core.v1.Secret": { type: "Opaque" },
  "apps.v1.DeploymentSpec": { replicas: 1, revisionHistoryLimit: 10, progressDeadlineSeconds: 600 },
  "apps.v1.DeploymentStrategy": { type: "RollingUpdate" },
  "apps.v1.RollingUpdateDeployment": { maxUnavailable: "25%", maxSurge: "25%" },
  "apps.v1.ReplicaSetSpec": { replicas: 1 },
  "apps.v1.StatefulSetSpec": {
    replicas: 1,
    podManagementPolicy: "OrderedReady",
    revisionHistoryLimit: 10,
    persistentVolumeClaimRetentionPolicy: {},
  },
  "apps.v1.StatefulSetUpdateStrategy": { type: "RollingUpdate" },
  "apps.v1.RollingUpdateStatefulSetStrategy": { partition: 0 },
  "apps.v1.StatefulSetPersistentVolumeClaimRetentionPolicy": { whenDeleted: "Retain", whenScaled: "Retain" },
  "apps.v1.DaemonSetSpec": { revisionHistoryLimit: 10 },
  "apps.v1.DaemonSetUpdateStrategy": { type: "RollingUpdate" },
  "apps.v1.RollingUpdateDaemonSet": { maxUnavailable: 1, maxSurge: 0 },
  "discovery.v1.EndpointPort": { name: "", protocol: "TCP" },
  "networking.v1.IngressClassParametersReference": { scope: "Cluster" },
  "networking.v1.NetworkPolicyPort": { protocol: "TCP" },
};
