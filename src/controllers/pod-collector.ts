/** The pod garbage collector: pods of a node that was deleted go, for nobody will ever report on them again. */
import type { Controller } from "#client";
import { type Context, createWriter, startLoop } from "./context.ts";
import { kind, nameOf, type Node, type Pod } from "./objects.ts";

const nodeKind = kind("v1", "Node");

/** @param grace milliseconds that a node must be missing; a new one may just not have been seen yet */
export function startPodCollector(context: Context, grace: number): Controller {
  const { client, clock } = context;
  const pods = context.informers.of<Pod>(kind("v1", "Pod"));
  const nodes = context.informers.of<Node>(nodeKind);
  const writer = createWriter(client);
  /** By name of a node that pods name: when it was first seen to be missing. */
  const missing = new Map<string, number>();

  const reconcile = async (name: string): Promise<number | void> => {
    if (nodes.get(undefined, name) !== undefined || pods.indexed("node", name).length === 0) {
      missing.delete(name);
      return;
    }
    const since = missing.get(name) ?? clock.now();
    missing.set(name, since);
    const wait = since + grace - clock.now();
    if (wait > 0) return wait;
    if ((await client.get(nodeKind, name)) !== undefined) return;
    for (const pod of pods.indexed("node", name)) await writer.delete(pods, pod, { gracePeriodSeconds: 0 });
  };
  const loop = startLoop(context, { name: "pod-collector", informers: [pods, nodes], reconcile });
  nodes.onChange((_type, node) => loop.enqueue(nameOf(node)));
  pods.onChange((type, pod) => {
    const node = pod.spec?.nodeName;
    if (type !== "DELETED" && node && nodes.get(undefined, node) === undefined) loop.enqueue(node);
  });
  return loop;
}
