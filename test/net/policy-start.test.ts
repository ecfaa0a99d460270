/** The policies that select a pod are in force before anything in it runs. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, test } from "node:test";
import { systemClock } from "#client";
import { tcpConnect } from "#kernel";
import { ask, isReady, podOf, resource, startWorld } from "./pod-fixture.ts";
import type { PodWorld } from "./pod-fixture.ts";

const networkPolicies = resource("networking.k8s.io/v1", "NetworkPolicy");
const events = resource("v1", "Event");
const denyAll = {
  apiVersion: "networking.k8s.io/v1",
  kind: "NetworkPolicy",
  metadata: { name: "deny", namespace: "default" },
  spec: { podSelector: { matchLabels: { guarded: "yes" } }, policyTypes: ["Ingress", "Egress"] },
};
const guarded = (name: string) => podOf(name, {}, {}, { labels: { guarded: "yes" } });
const worlds: PodWorld[] = [];
after(() => Promise.all(worlds.map((world) => world.close())));

async function worldWith(options: Parameters<typeof startWorld>[0]): Promise<PodWorld> {
  const world = await startWorld(options);
  worlds.push(world);
  return world;
}

test("a pod has its address stored, but runs nothing until its node's policies hold it", async () => {
  const opened = Promise.withResolvers<void>();
  const waiting: string[] = [];
  const world = await worldWith({
    policy: ({ policy }) => ({
      ...policy,
      covers: async (pod, address) => {
        await policy.covers(pod, address);
        waiting.push(pod.name);
        await opened.promise;
      },
    }),
  });
  await world.apply(networkPolicies, denyAll);
  await world.create(guarded("first"));
  const has = (ip?: string): boolean => ip !== undefined && waiting.includes("first");
  const pod = await world.until("first", "with an address", (one) => has(one?.status?.podIP));
  assert.equal(isReady(pod), false);
  assert.equal(pod?.status?.containerStatuses?.[0]?.state?.waiting?.reason, "ContainerCreating");
  const address = pod?.status?.podIP ?? "";
  const { ns } = world.node("node-a");
  // From its own node, which policies do not bind.
  await assert.rejects(ask(ns, address, 8080, "/"), /ECONNREFUSED/);
  opened.resolve();
  await world.ready("first");
  assert.equal((await ask(ns, address, 8080, "/")).status, 200);

  await world.create(podOf("free", {}, { nodeName: "node-b" }));
  const { ns: free } = await sandboxOf(world, "node-b", "free");
  const socket = tcpConnect(free, address, 8080);
  const connected = once(socket, "connect").then(() => true);
  assert.equal(await Promise.race([connected, denial(world, "node-a", address).then(() => false)]), false);
  connected.catch(() => undefined);
  socket.destroy();
  await world.close();
  worlds.pop();
});

async function sandboxOf(world: PodWorld, node: string, name: string) {
  const { pod } = await world.ready(name);
  const sandbox = world.node(node).sandboxes.find(pod.metadata?.uid ?? "");
  assert.ok(sandbox);
  return sandbox;
}

/** Resolves when the node has recorded that it kept something back from an address. */
async function denial(world: PodWorld, node: string, address: string): Promise<void> {
  for (const deadline = Date.now() + 10_000; Date.now() < deadline;) {
    const denied = await world.node(node).policy.denied();
    if (denied.some(({ destination }) => destination === address)) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`nothing to ${address} was kept back`);
}

test("policies that never come are waited for with a limit, and the pod tells of it", async () => {
  const hurried = {
    ...systemClock,
    setTimer: (ms: number, action: () => void) => systemClock.setTimer(ms === 10_000 ? 50 : ms, action),
  };
  const world = await worldWith({
    clock: hurried,
    policy: ({ policy }) => ({ ...policy, covers: () => new Promise(() => undefined) }),
  });
  await world.create(guarded("late"));
  await world.ready("late");
  const told = async (): Promise<boolean> => {
    const { items } = await world.client.list(events, { namespace: "default" });
    return items.some((event) => event["reason"] === "NetworkPolicyNotInForce");
  };
  while (!(await told())) await new Promise((resolve) => setTimeout(resolve, 10));
});
