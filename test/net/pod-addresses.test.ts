/** A node that has no address left for a pod. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isReady, ask, podOf, resource, startWorld } from "./pod-fixture.ts";

interface Event {
  readonly reason: string;
  readonly message: string;
  readonly involvedObject: { readonly name: string };
}

test("a pod waits for an address and is told so; others answer meanwhile; it runs as soon as one is free", async (t) => {
  // One address.
  const world = await startWorld({ podCIDR: "10.244.0.0/30" });
  t.after(() => world.close());
  await world.create(podOf("first"));
  const { address } = await world.ready("first");
  await world.create(podOf("second"));
  const told = async (): Promise<string> => {
    for (;;) {
      const { items } = await world.client.list(resource("v1", "Event"), { namespace: "default" });
      const events = items as unknown as readonly Event[];
      const event = events.find(
        ({ reason, involvedObject: { name } }) => name === "second" && reason === "FailedCreatePodSandBox",
      );
      if (event !== undefined) return event.message;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  assert.match(await told(), /all pod addresses of 10\.244\.0\.0\/30 are taken; delete pods/);
  assert.equal((await ask(world.node("node-a").ns, address, 8080, "/")).status, 200);
  assert.equal(isReady(await world.get("second")), false);
  await world.remove("first", 0);
  assert.equal((await world.ready("second")).address, address);
});
