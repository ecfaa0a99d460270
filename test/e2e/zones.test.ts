/** Zones of nodes, given at the start or by kubectl, decide where packets of Services with a preference go. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { createLive, eventually } from "../support/live.ts";

const objects = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 4
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "example.com/web:1", ports: [{containerPort: 3000}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: near}
spec: {selector: {app: web}, trafficDistribution: PreferSameZone, ports: [{port: 80, targetPort: 3000}]}
---
apiVersion: v1
kind: Service
metadata: {name: auto, annotations: {service.kubernetes.io/topology-mode: Auto}}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 3000}]}
`;

describe("zones", { timeout: 120_000 }, () => {
  const live = createLive("zones");
  const kubectl = live.kubectl("v35");
  before(async () => {
    await live.up("--zones", "east,west");
    await kubectl("apply -f -", objects);
    await kubectl("rollout status deployment/web --timeout=30s");
  });
  after(() => live.down());

  /** The nodes that answer eight requests from a node to a Service. */
  const answeredOn = async (node: string, service: string): Promise<string> => {
    const address = await kubectl(`get service ${service} -o jsonpath={.spec.clusterIP}`);
    const text = await live.exec(
      `node/${node}`,
      "curl",
      "-sSf",
      "-m",
      "5",
      "-H",
      "Connection: close",
      `http://${address}/?n=[1-8]`,
    );
    const nodes = text
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as { node: string }).node);
    return [...new Set(nodes)].toSorted().join();
  };
  const expectNodes = (node: string, service: string, expected: string): Promise<void> =>
    eventually(async () => assert.equal(await answeredOn(node, service), expected));

  test("packets stay in their zone where the Service prefers it", async () => {
    for (const service of ["near", "auto"]) {
      for (const node of ["node-a", "node-b"]) await expectNodes(node, service, node);
    }
  });

  test("a label taken away by kubectl opens the zone, and one set closes it again", async () => {
    await kubectl("label node node-b topology.kubernetes.io/zone-");
    for (const service of ["near", "auto"]) await expectNodes("node-a", service, "node-a,node-b");
    const events = await kubectl("get events -o jsonpath={.items[*].reason}");
    assert.match(events, /TopologyAwareHintsEnabled/);
    assert.match(events, /TopologyAwareHintsDisabled/);
    await kubectl("label node node-b topology.kubernetes.io/zone=west");
    for (const service of ["near", "auto"]) await expectNodes("node-a", service, "node-a");
  });
});
