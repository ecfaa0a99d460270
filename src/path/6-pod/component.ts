/** Inroad's own components (ingress, cluster DNS): a Worker that lives in its pod's namespace. */
import { startWorker } from "#kernel";
import type { KubeObject } from "#kube";
import { podId } from "./pod-object.ts";
import type { ContainerEnd, ContainerPlace, Runner, RunningContainer } from "./runner.ts";

export interface Component {
  /** Module that the Worker runs; it calls `awaitAssignment` first. */
  readonly script: URL;
  /** Becomes the data of its assignment; must be cloneable. Called at every start. */
  readonly data: (pod: ComponentPod) => unknown;
  /** Messages other than the ones below, for the head. */
  readonly onMessage?: (pod: ComponentPod, value: unknown) => void;
}

export interface ComponentPod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly node: string;
  readonly nodeAddress: string;
  readonly address: string;
  readonly object: KubeObject;
}

/** What a component tells its node agent. */
export type ComponentMessage =
  | { readonly kind: "ready"; readonly ready: boolean }
  | { readonly kind: "log"; readonly line: string };

/** What a component is told: it should finish and let its event loop run empty, or call process.exit. */
export interface StopMessage {
  readonly kind: "stop";
}

export function componentRunner(component: Component): Runner {
  return { kind: "component", start: (place) => Promise.resolve(startComponent(component, place)) };
}

function startComponent(component: Component, place: ContainerPlace): RunningContainer {
  const { promise: ended, resolve: end } = Promise.withResolvers<ContainerEnd>();
  const pod: ComponentPod = {
    ...podId(place.pod),
    node: place.node.name,
    nodeAddress: place.node.address,
    address: place.address,
    object: place.pod,
  };
  let ready = false;
  let asked = false;
  const setReady = (value: boolean): void => {
    ready = value;
    place.onReadiness();
  };

  const worker = startWorker(component.script, {
    ns: place.ns,
    restart: false,
    data: () => component.data(pod),
    onEvent(event) {
      if (event.kind === "crashed") {
        place.output.line(`ended: ${event.reason}`);
        setReady(false);
        end(
          asked
            ? { exitCode: 0, reason: "Completed" }
            : { exitCode: 1, reason: "Error", message: event.reason },
        );
      } else if (event.kind === "message") {
        const message = asMessage(event.value);
        if (message?.kind === "ready") setReady(message.ready);
        else if (message?.kind === "log") place.output.line(message.line);
        else component.onMessage?.(pod, event.value);
      }
    },
  });

  return {
    ended,
    ready: () => ready,
    signal(name) {
      if (name === "SIGTERM") {
        asked = true;
        worker.post({ kind: "stop" } satisfies StopMessage);
        return;
      }
      void worker.close().then(() => end({ exitCode: 137, reason: "Error" }));
    },
  };
}

function asMessage(value: unknown): ComponentMessage | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const kind: unknown = Reflect.get(value, "kind");
  const ready: unknown = Reflect.get(value, "ready");
  const line: unknown = Reflect.get(value, "line");
  if (kind === "ready" && typeof ready === "boolean") return { kind, ready };
  return kind === "log" && typeof line === "string" ? { kind, line } : undefined;
}
