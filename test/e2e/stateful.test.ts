/** StatefulSets and DaemonSets as the real kubectl sees them, and as packets reach them by name. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { createLive, eventually } from "../support/live.ts";

const objects = `
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: None, selector: {app: db}, ports: [{name: sql, port: 5432}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 3
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: db, image: "example.com/db:1", ports: [{containerPort: 5432}]}]}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: log}
spec:
  selector: {matchLabels: {app: log}}
  template:
    metadata: {labels: {app: log}}
    spec: {containers: [{name: log, image: "example.com/log:1", ports: [{containerPort: 8000}]}]}
`;

describe("pods with names of their own, and one pod on each node", { timeout: 180_000 }, () => {
  const live = createLive("stateful");
  const kubectl = live.kubectl("v35");
  before(async () => {
    const file = join(live.folder, "db.yaml");
    writeFileSync(file, objects);
    await live.up("-f", file);
    for (const what of ["sts/db", "ds/log"]) await kubectl(`rollout status ${what} --timeout=30s`);
  });
  after(() => live.down());

  const answerOf = async (name: string): Promise<string> => {
    const text = await live.exec("pod/default/db-0", "curl", "-sSf", "-m", "5", `http://${name}:5432/`);
    return (JSON.parse(text) as { pod: string }).pod;
  };
  const images = (label: string): Promise<string> =>
    kubectl(`get pods -l app=${label} -o jsonpath={.items[*].spec.containers[0].image}`);

  test("each pod of a StatefulSet is reached by its own name, and by it again when it has been replaced", async () => {
    for (const name of ["db-0", "db-1", "db-2"]) assert.equal(await answerOf(`${name}.db`), name);
    const uid = await kubectl("get pod db-1 -o jsonpath={.metadata.uid}");
    await kubectl("delete pod db-1");
    await kubectl("rollout status sts/db --timeout=30s");
    assert.notEqual(await kubectl("get pod db-1 -o jsonpath={.metadata.uid}"), uid);
    await eventually(async () => assert.equal(await answerOf("db-1.db"), "db-1"));
  });

  test("new images are rolled out, and taken back by rollout undo", async () => {
    for (const [what, label] of [
      ["sts/db", "db"],
      ["ds/log", "log"],
    ] as const) {
      const before = await images(label);
      await kubectl(`set image ${what} ${label}=example.com/${label}:2`);
      await kubectl(`rollout status ${what} --timeout=40s`);
      await eventually(async () => assert.equal(await images(label), before.replaceAll(":1", ":2")));
      await kubectl(`rollout undo ${what}`);
      await kubectl(`rollout status ${what} --timeout=40s`);
      await eventually(async () => assert.equal(await images(label), before));
    }
  });

  test("a drained node keeps its daemons and loses the other pods", async () => {
    const { stderr } = await kubectl.attempt("drain node-b --timeout=30s");
    assert.match(stderr, /cannot delete DaemonSet-managed Pods/);
    await kubectl("drain node-b --ignore-daemonsets --timeout=30s");
    const nodes = (label: string): Promise<string> =>
      kubectl(`get pods -l app=${label} -o jsonpath={.items[*].spec.nodeName}`);
    await kubectl("rollout status sts/db --timeout=30s");
    assert.equal(await nodes("db"), "node-a node-a node-a");
    assert.deepEqual(
      (await nodes("log")).split(" ").toSorted((a, b) => a.localeCompare(b)),
      ["node-a", "node-b"],
    );
  });
});
