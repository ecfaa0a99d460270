import type { Schemas } from "./types.ts";

/** What a node reports about a container. One line per field; the notation is explained in types.ts. */
export const coreContainerStatusSchemas: Schemas = {
  package: "core.v1",
  types: {
    ContainerState: {
      waiting: "*ContainerStateWaiting",
      running: "*ContainerStateRunning",
      terminated: "*ContainerStateTerminated",
    },
    ContainerStateRunning: {
      startedAt: "time",
    },
    ContainerStateTerminated: {
      exitCode: "int32 required",
      signal: "int32",
      reason: "string",
      message: "string",
      startedAt: "time",
      finishedAt: "time",
      containerID: "string",
    },
    ContainerStateWaiting: {
      reason: "string",
      message: "string",
    },
    ContainerStatus: {
      name: "string required",
      state: "ContainerState",
      lastState: "ContainerState",
      ready: "bool required",
      restartCount: "int32 required",
      image: "string required",
      imageID: "string required",
      containerID: "string",
      started: "*bool",
      allocatedResources: "{}quantity",
      resources: "*ResourceRequirements",
      volumeMounts: "[]VolumeMountStatus patch=merge(mountPath) list=map(mountPath)",
      user: "*ContainerUser",
      allocatedResourcesStatus: "[]ResourceStatus patch=merge(name) list=map(name)",
      stopSignal:
        "*string enum=SIGABRT|SIGALRM|SIGBUS|SIGCHLD|SIGCLD|SIGCONT|SIGFPE|SIGHUP|SIGILL|SIGINT|SIGIO|SIGIOT|SIGKILL|SIGPIPE|SIGPOLL|SIGPROF|SIGPWR|SIGQUIT|SIGRTMAX|SIGRTMAX-1|SIGRTMAX-10|SIGRTMAX-11|SIGRTMAX-12|SIGRTMAX-13|SIGRTMAX-14|SIGRTMAX-2|SIGRTMAX-3|SIGRTMAX-4|SIGRTMAX-5|SIGRTMAX-6|SIGRTMAX-7|SIGRTMAX-8|SIGRTMAX-9|SIGRTMIN|SIGRTMIN+1|SIGRTMIN+10|SIGRTMIN+11|SIGRTMIN+12|SIGRTMIN+13|SIGRTMIN+14|SIGRTMIN+15|SIGRTMIN+2|SIGRTMIN+3|SIGRTMIN+4|SIGRTMIN+5|SIGRTMIN+6|SIGRTMIN+7|SIGRTMIN+8|SIGRTMIN+9|SIGSEGV|SIGSTKFLT|SIGSTOP|SIGSYS|SIGTERM|SIGTRAP|SIGTSTP|SIGTTIN|SIGTTOU|SIGURG|SIGUSR1|SIGUSR2|SIGVTALRM|SIGWINCH|SIGXCPU|SIGXFSZ",
    },
    ContainerUser: {
      linux: "*LinuxContainerUser",
    },
    LinuxContainerUser: {
      uid: "int64 required",
      gid: "int64 required",
      supplementalGroups: "[]int64 list=atomic",
    },
    ResourceHealth: {
      resourceID: "string required",
      health: "string",
    },
    ResourceStatus: {
      name: "string required",
      resources: "[]ResourceHealth list=map(resourceID)",
    },
    VolumeMountStatus: {
      name: "string required",
      mountPath: "string required",
      readOnly: "bool",
      recursiveReadOnly: "*string",
    },
  },
};
