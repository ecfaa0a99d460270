/** How long pods take to come and go: what the waits of a rollout wait for, and what bounds them. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { createLive, eventually } from "../support/live.ts";

const deployment = (name: string, graceSeconds: number, behaviour: string): string => `
apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name} }
spec:
  selector: { matchLabels: { app: ${name} } }
  template:
    metadata:
      labels: { app: ${name} }
      annotations: { inroad.dev/stand-in: "${behaviour}" }
    spec:
      terminationGracePeriodSeconds: ${graceSeconds}
      containers: [{ name: app, image: example.com/app, ports: [{ containerPort: 8080 }] }]
---
apiVersion: v1
kind: Service
metadata: { name: ${name} }
spec: { selector: { app: ${name} }, ports: [{ port: 80, targetPort: 8080 }] }
`;

/** A component that lives, and is as far as the annotation says. */
const lease = (version: number): string => `
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata:
  name: slow-proxy
  namespace: inroad-system
  labels: { inroad.dev/programs: proxy }
  annotations: { inroad.dev/programmed: "${version}" }
spec: { holderIdentity: elsewhere, leaseDurationSeconds: 3600 }
`;

interface Pod {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
  readonly status: {
    readonly podIP?: string;
    readonly conditions: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason?: string;
    }[];
  };
}

describe("the bounds of a rollout", { timeout: 180_000 }, () => {
  const live = createLive("bounds");
  const kubectl = live.kubectl("v35");
  before(async () => {
    const file = join(live.folder, "apps.yaml");
    const apps = [
      deployment("polite", 30, "onSigterm=exit"),
      deployment("stubborn", 1, "onSigterm=ignore"),
      deployment("hasty", 0, "onSigterm=ignore"),
    ];
    writeFileSync(file, apps.join("---"));
    await live.up("-f", file);
  });
  after(() => live.down());

  const podsOf = async (app: string): Promise<Pod[]> =>
    JSON.parse(await kubectl(`get pods -l app=${app} -o json`)).items;
  const onlyPod = async (app: string): Promise<Pod> => {
    const [pod, ...others] = await podsOf(app);
    assert.ok(pod !== undefined && others.length === 0, `${others.length + 1} pods of ${app}`);
    return pod;
  };
  const conditionOf = ({ status }: Pod, type: string) =>
    status.conditions.find((condition) => condition.type === type);
  /** Milliseconds that the deletion of a pod took, for somebody who waits for it. */
  const remove = async (app: string): Promise<number> => {
    const { metadata } = await onlyPod(app);
    const began = performance.now();
    await kubectl(`delete pod ${metadata.name}`);
    return performance.now() - began;
  };
  const settled = (app: string): Promise<string> => kubectl(`rollout status deployment/${app} --timeout=20s`);

  for (const [app, what, longestMs] of [
    ["hasty", "with a grace of 0 s a pod is gone at once", 2000],
    ["stubborn", "a pod that ignores SIGTERM is gone within its grace of 1 s and 2 s more", 3000],
    ["polite", "a pod that exits at once is gone long before its grace of 30 s ends", 3000],
  ] as const) {
    test(what, async () => {
      const took = await remove(app);
      assert.ok(took <= longestMs, `took ${took} ms`);
      await settled(app);
    });
  }

  test("every data plane has its Lease", async () => {
    const leases = await kubectl(
      "get leases -A -l inroad.dev/programs -o jsonpath={.items[*].metadata.labels.inroad\\.dev/programs}",
    );
    const kinds = leases.split(" ").toSorted((a, b) => a.localeCompare(b));
    assert.deepEqual(kinds, ["dns", "ingress", "ingress", "load-balancer", "proxy", "proxy"]);
  });

  test("a pod serves on until the slowest data plane has caught up, then it ends", async () => {
    await kubectl("apply -f -", lease(1));
    const old = await onlyPod("polite");
    await kubectl(`delete pod ${old.metadata.name} --wait=false`);
    const terminating =
      "get endpointslices -l kubernetes.io/service-name=polite -o jsonpath={.items[*].endpoints[*].conditions.terminating}";
    await eventually(async () => assert.match(await kubectl(terminating), /true/));
    const answer = await live.exec("node/node-b", "curl", "-sSf", `http://${old.status.podIP}:8080/`);
    assert.match(answer, new RegExp(old.metadata.name));
    await kubectl("apply -f -", lease(1_000_000_000));
    await kubectl(`wait pod ${old.metadata.name} --for=delete --timeout=3s`);
    await settled("polite");
  });

  test("a new pod is an endpoint at once, and counts as ready when the slowest data plane knows it", async () => {
    await kubectl("apply -f -", lease(1));
    await kubectl("scale deployment/polite --replicas=2");
    const waiting = await eventually(async () => {
      const found = (await podsOf("polite")).find((pod) => conditionOf(pod, "Ready")?.status === "False");
      assert.equal(found && conditionOf(found, "ContainersReady")?.status, "True");
      assert.ok(found);
      return found;
    });
    assert.equal(conditionOf(waiting, "inroad.dev/Programmed")?.reason, "Programming");
    const ready =
      "get endpointslices -l kubernetes.io/service-name=polite -o jsonpath={.items[*].endpoints[?(@.conditions.ready==true)].targetRef.name}";
    await eventually(async () => assert.ok((await kubectl(ready)).includes(waiting.metadata.name)));
    await kubectl("apply -f -", lease(1_000_000_000));
    await kubectl(`wait pod ${waiting.metadata.name} --for=condition=Ready --timeout=3s`);
    await kubectl("scale deployment/polite --replicas=1");
    await settled("polite");
  });

  test("a data plane that never catches up costs half of the grace, and is named in an event", async () => {
    await kubectl("apply -f -", lease(1));
    const { metadata } = await onlyPod("stubborn");
    const took = await remove("stubborn");
    assert.ok(took <= 3000, `took ${took} ms`);
    const events = `get events --field-selector involvedObject.name=${metadata.name},reason=NotProgrammed -o jsonpath={.items[*].message}`;
    await eventually(async () => assert.match(await kubectl(events), /inroad-system\/slow-proxy/));
    await kubectl("delete lease slow-proxy -n inroad-system");
  });
});
