/** A pod's status in the shape that the API and kubectl expect. Pure. */
import type { KubeObject } from "#kube";
import type { ContainerStatus, Container, PodCondition, PodStatus } from "kubernetes-types/core/v1.js";
import type { ContainerView, ContainerState, Ended } from "./container.ts";
import { asPod, isSidecar, specOf } from "./pod-object.ts";

/** What the agent knows of a pod. */
export interface PodView {
  readonly object: KubeObject;
  readonly node: { readonly name: string; readonly address: string; readonly addresses: readonly string[] };
  readonly startTime: string;
  /** Empty until the sandbox is there. */
  readonly addresses: readonly string[];
  readonly init: readonly InitView[];
  /** Sidecars and ordinary containers. */
  readonly containers: readonly ContainerView[];
}

/** An init container that is not a sidecar. A stand-in for one counts as completed. */
export interface InitView {
  readonly container: Container;
  readonly state: ContainerState;
  readonly restarts: number;
}

/** Condition that says what is only pretended in this pod. */
const simulatedCondition = "inroad.dev/Simulated";

/** The status to be stored. `now` is RFC 3339 with whole seconds. */
export function podStatus(view: PodView, now: string): PodStatus {
  const { addresses, node } = view;
  const spec = specOf(view.object);
  const sidecars = new Set((spec.initContainers ?? []).filter(isSidecar).map(({ name }) => name));
  const ordinary = view.containers.filter(({ container }) => !sidecars.has(container.name));
  const initStatuses = (spec.initContainers ?? []).flatMap((container) => {
    const side = view.containers.find((one) => one.container.name === container.name);
    const init = view.init.find((one) => one.container.name === container.name);
    return side !== undefined ? [containerStatus(side)] : init === undefined ? [] : [initStatus(init)];
  });
  return {
    phase: phaseOf(view, ordinary),
    conditions: conditions(view, now),
    hostIP: node.address,
    hostIPs: node.addresses.map((ip) => ({ ip })),
    ...(addresses[0] === undefined ? {} : { podIP: addresses[0], podIPs: addresses.map((ip) => ({ ip })) }),
    startTime: view.startTime,
    ...(initStatuses.length === 0 ? {} : { initContainerStatuses: initStatuses }),
    containerStatuses: ordinary.map((one) => containerStatus(one)),
  };
}

function phaseOf({ init }: PodView, ordinary: readonly ContainerView[]): string {
  if (init.some(({ state }) => state.kind === "terminated" && state.exitCode !== 0)) return "Failed";
  const ends = ordinary.flatMap(({ state }) => (state.kind === "terminated" ? [state.exitCode] : []));
  if (ordinary.length > 0 && ends.length === ordinary.length) {
    return ends.every((code) => code === 0) ? "Succeeded" : "Failed";
  }
  const never = ordinary.some(({ state, last }) => state.kind === "waiting" && last === undefined);
  return never ? "Pending" : "Running";
}

function containerStatus(view: ContainerView): ContainerStatus {
  const { container, state, last, restarts, started, ready } = view;
  return {
    name: container.name,
    state: stateOf(state, view),
    lastState: last === undefined ? {} : { terminated: terminated(last, view) },
    ready,
    restartCount: restarts,
    image: container.image ?? "",
    imageID: imageId(view.runner, container),
    ...(state.kind === "waiting" ? {} : { containerID: containerId(view) }),
    started,
  } as ContainerStatus;
}

function initStatus({ container, state, restarts }: InitView): ContainerStatus {
  const view = { container, runner: "stand-in", restarts } as const;
  return {
    name: container.name,
    state: stateOf(state, view),
    lastState: {},
    ready: state.kind === "terminated" && state.exitCode === 0,
    restartCount: restarts,
    image: container.image ?? "",
    imageID: imageId("stand-in", container),
    started: false,
  } as ContainerStatus;
}

type Identified = Pick<ContainerView, "container" | "runner" | "restarts">;

function stateOf(state: ContainerState, view: Identified): ContainerStatus["state"] {
  if (state.kind === "running") return { running: { startedAt: state.startedAt } };
  if (state.kind === "terminated") return { terminated: terminated(state, view) };
  const { reason, message } = state;
  return { waiting: message === undefined ? { reason } : { reason, message } };
}

function terminated({ exitCode, reason, message, startedAt, finishedAt }: Ended, view: Identified) {
  const containerID = containerId(view);
  return {
    exitCode,
    reason,
    ...(message === undefined ? {} : { message }),
    startedAt,
    finishedAt,
    containerID,
  };
}

/** No image is pulled; the id says what runs in its place. */
function imageId(runner: ContainerView["runner"], container: Container): string {
  return `inroad://${runner}/${container.image ?? ""}`;
}

function containerId({ container, runner, restarts }: Identified): string {
  return `inroad://${runner}/${container.name}/${restarts}`;
}

/** The conditions a kubelet sets, keeping the time of the last change where nothing changed. */
function conditions(view: PodView, now: string): PodCondition[] {
  const { status } = asPod(view.object);
  const old = status?.conditions ?? [];
  return wantedConditions(view).map((wanted) => {
    const before = old.find(({ type }) => type === wanted.type);
    const same = before?.status === wanted.status && before.lastTransitionTime !== undefined;
    return { ...wanted, lastTransitionTime: same ? before.lastTransitionTime : now };
  }) as PodCondition[];
}

type Wanted = Pick<PodCondition, "type" | "status" | "reason" | "message">;

function wantedConditions(view: PodView): Wanted[] {
  const { object, init, containers, addresses } = view;
  const finished =
    containers.length > 0 &&
    containers.every(({ state }) => state.kind === "terminated" && state.exitCode === 0);
  const unready = containers.filter(({ ready }) => !ready).map(({ container }) => container.name);
  const incomplete = init
    .filter(({ state }) => state.kind !== "terminated" || state.exitCode !== 0)
    .map(({ container }) => container.name);
  const containersReady: Wanted = finished
    ? { type: "ContainersReady", status: "False", reason: "PodCompleted" }
    : unready.length === 0 && containers.length > 0
      ? { type: "ContainersReady", status: "True" }
      : notReady("ContainersReady", unready);
  const gates = missingGates(object);
  const ready: Wanted =
    containersReady.status === "True" && gates.length > 0
      ? { type: "Ready", status: "False", reason: "ReadinessGatesNotReady", message: gates.join(", ") }
      : { ...containersReady, type: "Ready" };
  const simulated = containers.flatMap(({ container, simulated: names }) =>
    names.length === 0 ? [] : [`container ${container.name}: ${names.join(", ")}`],
  );
  return [
    { type: "PodReadyToStartContainers", status: addresses.length === 0 ? "False" : "True" },
    incomplete.length === 0
      ? { type: "Initialized", status: "True" }
      : {
          type: "Initialized",
          status: "False",
          reason: "ContainersNotInitialized",
          message: `containers with incomplete status: [${incomplete.join(" ")}]`,
        },
    ready,
    containersReady,
    { type: "PodScheduled", status: "True" },
    ...(simulated.length === 0
      ? []
      : [
          {
            type: simulatedCondition,
            status: "True",
            reason: "NotCarriedOut",
            message: `counts as passed: ${simulated.join("; ")}`,
          },
        ]),
  ];
}

function notReady(type: string, names: readonly string[]): Wanted {
  const message = `containers with unready status: [${names.join(" ")}]`;
  return { type, status: "False", reason: "ContainersNotReady", message };
}

/** Readiness gates (KEP-580) whose condition somebody else has not set to True yet. */
function missingGates(object: KubeObject): string[] {
  const { spec, status } = asPod(object);
  return (spec?.readinessGates ?? []).flatMap(({ conditionType }) =>
    status?.conditions?.some(({ type, status: value }) => type === conditionType && value === "True") === true
      ? []
      : [`the status of pod readiness gate "${conditionType}" is not "True", but False`],
  );
}
