import type { KubeObject } from "#kube";
import type { Log } from "#lib/log";
import type {
  Client,
  Clock,
  Controller,
  ControllerOptions,
  DeleteOptions,
  EventRecorder,
  Informer,
  Informers,
} from "#client";
import { createEventRecorder, runController } from "#client";
import { nameOf, uidOf } from "./objects.ts";

/** What every controller is given. */
export interface Context {
  readonly client: Client;
  readonly informers: Informers;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Writes that the shared informers know of at once: the next decision is made from what was just written, not
 * from what the watch has told so far. That takes the place of client-go's "expectations".
 */
export interface Writer {
  create<T extends KubeObject>(informer: Informer<T>, object: KubeObject): Promise<T>;
  update<T extends KubeObject>(informer: Informer<T>, object: KubeObject): Promise<T>;
  updateStatus<T extends KubeObject>(informer: Informer<T>, object: KubeObject): Promise<T>;
  /** A JSON merge patch of the object, or of a subresource. */
  patch<T extends KubeObject>(
    informer: Informer<T>,
    object: T,
    patch: object,
    subresource?: string,
  ): Promise<T>;
  /** Deletes just this object, not another one that took its name. */
  delete<T extends KubeObject>(informer: Informer<T>, object: T, options?: DeleteOptions): Promise<void>;
}

export function createWriter(client: Client): Writer {
  return {
    create: <T extends KubeObject>(informer: Informer<T>, object: KubeObject) =>
      absorbed(informer, client.create<T>(informer.kind, object)),
    update: <T extends KubeObject>(informer: Informer<T>, object: KubeObject) =>
      absorbed(informer, client.update<T>(informer.kind, object)),
    updateStatus: <T extends KubeObject>(informer: Informer<T>, object: KubeObject) =>
      absorbed(informer, client.updateStatus<T>(informer.kind, object)),
    patch: <T extends KubeObject>(informer: Informer<T>, object: T, patch: object, subresource?: string) =>
      absorbed(
        informer,
        client.patch<T>(informer.kind, nameOf(object), object.metadata?.namespace, patch, {
          type: "merge",
          ...(subresource === undefined ? {} : { subresource }),
        }),
      ),
    delete: async (informer, object, options = {}) => {
      const preconditions = { uid: uidOf(object) };
      const left = await client.delete(informer.kind, nameOf(object), object.metadata?.namespace, {
        preconditions,
        ...options,
      });
      if (left === undefined) informer.forget(object);
      // What the server answers is an object of this kind.
      else informer.absorb(left as typeof object);
    },
  };
}

async function absorbed<T extends KubeObject>(informer: Informer<T>, answer: Promise<T>): Promise<T> {
  const object = await answer;
  informer.absorb(object);
  return object;
}

/** A control loop of the given name on a context, and the recorder of its events. */
export function startLoop(
  context: Context,
  options: Pick<ControllerOptions, "name" | "informers" | "reconcile" | "workers">,
): Controller {
  return runController({ ...options, clock: context.clock, log: context.log.child(options.name) });
}

export function recorderFor(context: Context, component: string): EventRecorder {
  return createEventRecorder(context.client, component, { log: context.log, clock: context.clock });
}

/** Objects of a kind in a namespace, by the informers' common index. */
export function inNamespace<T extends KubeObject>(informer: Informer<T>, namespace: string): readonly T[] {
  return informer.indexed("namespace", namespace);
}
