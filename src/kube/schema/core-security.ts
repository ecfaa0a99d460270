import type { Schemas } from "./types.ts";

/** Security settings of pods and containers. One line per field; the notation is explained in types.ts. */
export const coreSecuritySchemas: Schemas = {
  package: "core.v1",
  types: {
    AppArmorProfile: {
      type: "string required enum=Localhost|RuntimeDefault|Unconfined",
      localhostProfile: "*string",
    },
    Capabilities: {
      add: "[]string list=atomic",
      drop: "[]string list=atomic",
    },
    PodSecurityContext: {
      seLinuxOptions: "*SELinuxOptions",
      windowsOptions: "*WindowsSecurityContextOptions",
      runAsUser: "*int64",
      runAsGroup: "*int64",
      runAsNonRoot: "*bool",
      supplementalGroups: "[]int64 list=atomic",
      supplementalGroupsPolicy: "*string enum=Merge|Strict",
      fsGroup: "*int64",
      sysctls: "[]Sysctl list=atomic",
      fsGroupChangePolicy: "*string enum=Always|OnRootMismatch",
      seccompProfile: "*SeccompProfile",
      appArmorProfile: "*AppArmorProfile",
      seLinuxChangePolicy: "*string",
    },
    SeccompProfile: {
      type: "string required enum=Localhost|RuntimeDefault|Unconfined",
      localhostProfile: "*string",
    },
    SecurityContext: {
      capabilities: "*Capabilities",
      privileged: "*bool",
      seLinuxOptions: "*SELinuxOptions",
      windowsOptions: "*WindowsSecurityContextOptions",
      runAsUser: "*int64",
      runAsGroup: "*int64",
      runAsNonRoot: "*bool",
      readOnlyRootFilesystem: "*bool",
      allowPrivilegeEscalation: "*bool",
      procMount: "*string enum=Default|Unmasked",
      seccompProfile: "*SeccompProfile",
      appArmorProfile: "*AppArmorProfile",
    },
    SELinuxOptions: {
      user: "string",
      role: "string",
      type: "string",
      level: "string",
    },
    Sysctl: {
      name: "string required",
      value: "string required",
    },
    WindowsSecurityContextOptions: {
      gmsaCredentialSpecName: "*string",
      gmsaCredentialSpec: "*string",
      runAsUserName: "*string",
      hostProcess: "*bool",
    },
  },
};
