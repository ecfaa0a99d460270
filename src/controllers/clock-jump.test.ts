/** Somebody sets the machine's clock while a cluster runs. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { kinds } from "#kube";
import { silentLog } from "#lib/log";
import { createApiServer } from "#api";
import { conditionOf, isDeleting, kind, type Node, type Pod } from "./objects.ts";
import { startTestCluster } from "./test-cluster.ts";

const day = 86_400_000;
const [nodeKind, podKind] = [kind("v1", "Node"), kind("v1", "Pod")];

for (const jump of [day, -day]) {
  test(
    `the clock jumps by ${jump / day} day: no node is lost, no pod evicted, and new objects are served`,
    { timeout: 30_000 },
    async (t) => {
      const api = createApiServer({
        serviceCIDRs: ["10.96.0.0/16"],
        nodePorts: { first: 30_000, last: 32_767 },
        kinds,
        log: silentLog,
        authenticate: { tokens: new Map() },
        debugToken: "",
      });
      const cluster = await startTestCluster(
        api.transport({ name: "controllers", groups: ["system:masters"] }),
      );
      t.after(async () => {
        await cluster.close();
        api.close();
      });
      cluster.runAgents();
      await cluster.addNode("node-a");
      const run = async (name: string): Promise<void> => {
        const spec = { containers: [{ name: "c", image: "app:1" }] };
        await cluster.client.create(podKind, { metadata: { name, namespace: "default" }, spec });
        await cluster.until(`${name} runs`, () =>
          cluster.all("v1", "Pod").some((pod) => {
            const ready = conditionOf(pod as Pod, "Ready")?.status === "True";
            return pod.metadata?.name === name && ready;
          }),
        );
      };
      await run("before");
      const real = Date.now;
      t.mock.method(Date, "now", () => real() + jump);
      // Everybody looks at the node again.
      await cluster.client.patch(
        nodeKind,
        "node-a",
        undefined,
        { metadata: { labels: { seen: "again" } } },
        { type: "merge" },
      );
      await run("after");
      const nodes = cluster.all("v1", "Node") as readonly Node[];
      assert.deepEqual(
        nodes.map((node) => [conditionOf(node, "Ready")?.status, node.spec?.taints ?? []]),
        [["True", []]],
      );
      assert.ok(!cluster.all("v1", "Pod").some((pod) => isDeleting(pod)));
    },
  );
}
