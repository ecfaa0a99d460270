/** What runs a container. One runner per way: stand-in, mapped command, component (a Worker). */
import type { NetPlace } from "#kernel";
import type { KubeObject } from "#kube";
import type { Log } from "#lib/log";
import type { Container } from "kubernetes-types/core/v1.js";
import type { ContainerLog } from "./logs.ts";
import type { Port } from "./pod-object.ts";

export interface ContainerEnd {
  /** 128 + signal for a process that a signal ended. */
  readonly exitCode: number;
  readonly reason: string;
  readonly message?: string;
}

/** One life of a container, from start to end. */
export interface RunningContainer {
  readonly ended: Promise<ContainerEnd>;
  /** TERM asks it to end, KILL ends it. */
  signal(name: "SIGTERM" | "SIGKILL"): void;
  /** What the container itself says of its readiness; undefined means: only probes decide. */
  ready(): boolean | undefined;
  /** For stand-ins: what else they listen on, as Services change. */
  setPorts?(ports: readonly Port[]): void;
  /** For stand-ins: what they answered. */
  account?(): readonly AnsweredRequest[];
}

/** A stand-in's own record of one request. */
export interface AnsweredRequest {
  readonly time: string;
  readonly requestId: string | undefined;
  readonly containerPort: number;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly peer: { readonly address: string; readonly port: number };
}

/** Where and as what a container runs. */
export interface ContainerPlace {
  readonly pod: KubeObject;
  readonly container: Container;
  readonly node: { readonly name: string; readonly address: string; readonly addresses: readonly string[] };
  readonly ns: NetPlace;
  readonly address: string;
  /** One of each family, `address` first. */
  readonly addresses: readonly string[];
  readonly ports: readonly Port[];
  readonly output: ContainerLog;
  readonly log: Log;
  /** To be called when `ready()` may have changed. */
  readonly onReadiness: () => void;
}

export interface Runner {
  readonly kind: "stand-in" | "command" | "component";
  start(place: ContainerPlace): Promise<RunningContainer>;
}
