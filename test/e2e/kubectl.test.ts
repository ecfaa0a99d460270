/** The real kubectl reads and writes the objects of a live cluster. What that does to packets: kubectl-packets.test.ts. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { kubectlVersions } from "../support/kubectl.ts";
import { createLive, eventually } from "../support/live.ts";

const shop = (namespace: string): string => `
apiVersion: v1
kind: Namespace
metadata: {name: ${namespace}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: ${namespace}}
data: {mode: fast, size: "3"}
---
apiVersion: v1
kind: Secret
metadata: {name: token, namespace: ${namespace}}
data: {token: YWJjZGVm}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: ${namespace}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "example.com/web:1", ports: [{name: http, containerPort: 3000}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: ${namespace}}
spec: {selector: {app: web}, sessionAffinity: ClientIP, ports: [{name: www, port: 80, targetPort: http}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: ${namespace}}
spec:
  rules:
  - host: ${namespace}.test
    http:
      paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {name: www}}}}]
`;

const objects = [
  "configmap/settings",
  "secret/token",
  "deployment.apps/web",
  "service/web",
  "ingress.networking.k8s.io/web",
];
/** What apply prints for every object of the shop. */
const told = (namespace: string, word: string): string[] =>
  [`namespace/${namespace}`, ...objects].map((object) => `${object} ${word}`);

const endpoints = String.raw`10\.244\.[01]\.\d+:3000,10\.244\.[01]\.\d+:3000`;

/** `kubectl describe`: what is described, and a line that only somebody who knows the cluster can print. */
const described: readonly (readonly [string, RegExp])[] = [
  ["pods -l app=web", /^  Normal +Started +\S+ +kubelet +Started container web/m],
  ["service web", new RegExp(`^Endpoints: +${endpoints}$`, "m")],
  ["ingress web", new RegExp(String.raw`^ +/ +web:www \(${endpoints}\)$`, "m")],
  ["endpointslices", /^ +TargetRef: +Pod\/web-/m],
  ["deployment web", /^NewReplicaSet: +web-\w+ \(2\/2 replicas created\)$/m],
  ["node node-a", /^ +Ready +True .*KubeletReady/m],
  ["secret token", /^token: +6 bytes$/m],
  ["configmap settings", /^mode:\n----\nfast$/m],
];

/** `kubectl get -o wide`: what is listed, and how its row begins. */
const listed: readonly (readonly [string, RegExp])[] = [
  ["nodes", /^node-b +Ready +<none> +\S+ +v1\.34\.\S+ +172\.30\.0\.12 +<none> +Inroad /m],
  ["pods", /^web-\S+ +1\/1 +Running +0 +\S+ +10\.244\.[01]\.\d+ +node-[ab] /m],
  ["services", /^web +ClusterIP +10\.96\.\d+\.\d+ +<none> +80\/TCP +\S+ +app=web$/m],
  ["ingresses", /^web +inroad +\S+\.test +203\.0\.113\.\d+ +80 /m],
  ["deployments", /^web +2\/2 +2 +2 +\S+ +web +example\.com\/web:1 +app=web$/m],
  ["endpointslices", /^web-\w+ +IPv4 +3000 +10\.244\.[01]\.\d+,10\.244\.[01]\.\d+ /m],
  ["secrets", /^token +Opaque +1 /m],
  ["configmaps", /^settings +2 /m],
  ["events", /^\S+ +Normal +ScalingReplicaSet +deployment\/web /m],
];

describe("kubectl and a live cluster", { timeout: 180_000 }, () => {
  const live = createLive("kubectl");
  before(() => live.up("-f", "examples/hadywafa"));
  after(() => live.down());

  for (const version of kubectlVersions) {
    describe(`kubectl ${version}`, () => {
      const namespace = `shop-${version}`;
      const kubectl = live.kubectl(version);
      const lines = async (args: string, input?: string): Promise<string[]> =>
        (await kubectl(args, input)).trimEnd().split("\n");

      test("what up brought up is unchanged for apply", async () => {
        assert.deepEqual(await lines("apply -f examples/hadywafa"), [
          "deployment.apps/api unchanged",
          "service/api-service unchanged",
          "ingress.networking.k8s.io/api-ingress unchanged",
        ]);
      });

      test("apply creates new objects and leaves unchanged ones alone", async () => {
        assert.deepEqual(await lines("apply -f -", shop(namespace)), told(namespace, "created"));
        assert.deepEqual(await lines("apply -f -", shop(namespace)), told(namespace, "unchanged"));
      });

      test("they become ready: rollout status, wait", async () => {
        assert.match(
          await kubectl(`rollout status deployment/web -n ${namespace}`),
          /successfully rolled out/,
        );
        await kubectl(`wait --for=condition=Ready pod -l app=web -n ${namespace} --timeout=20s`);
        await kubectl(`wait --for=condition=Available deployment/web -n ${namespace} --timeout=20s`);
        const address = "jsonpath={.status.loadBalancer.ingress[0].ip}=203.0.113.128";
        await kubectl(`wait --for=${address} ingress/web -n ${namespace} --timeout=20s`);
      });

      for (const [what, row] of listed) {
        test(`get ${what} -o wide`, async () => {
          assert.match(await kubectl(`get ${what} -o wide -n ${namespace}`), row);
        });
      }

      for (const [what, line] of described) {
        test(`describe ${what}`, async () => {
          assert.match(await kubectl(`describe ${what} -n ${namespace}`), line);
        });
      }

      test("describe namespace", async () => {
        assert.match(await kubectl(`describe namespace ${namespace}`), /^Status: +Active$/m);
      });

      test("nodes report their conditions", async () => {
        const conditions = "{range.items[0].status.conditions[*]}{.type}={.status},{end}";
        assert.equal(
          await kubectl(`get nodes -o jsonpath=${conditions}`),
          "MemoryPressure=False,DiskPressure=False,PIDPressure=False,Ready=True,",
        );
      });

      test("apply changes what was changed, takes out what was taken out, and refuses what it does not know", async () => {
        const changed = shop(namespace)
          .replace("mode: fast", "mode: slow")
          .replace("sessionAffinity: ClientIP, ", "");
        const words = await lines("apply -f -", changed);
        assert.deepEqual(
          words.filter((line) => !line.endsWith(" unchanged")),
          ["configmap/settings configured", "service/web configured"],
        );
        assert.equal(
          await kubectl(`get service web -n ${namespace} -o jsonpath={.spec.sessionAffinity}`),
          "None",
        );
        const wrong = await kubectl.attempt("apply -f -", shop(namespace).replace("replicas:", "replica:"));
        assert.match(wrong.stderr, /strict decoding error: unknown field "spec\.replica"/);
        assert.equal(wrong.code, 1);
      });

      test("get -w sees a pod come and go", async () => {
        const watch = kubectl.follow(`get pods -l app=web -n ${namespace} -w`);
        await watch.until(/^web-.* 1\/1 +Running /);
        await watch.until(/^web-.* 1\/1 +Running /);
        await kubectl(`scale deployment web --replicas=3 -n ${namespace}`);
        const pod = (await watch.until(/^web-.* 0\/1 +Pending /)).split(" ")[0];
        await watch.until(new RegExp(`^${pod} +0/1 +ContainerCreating `));
        await watch.until(new RegExp(`^${pod} +1/1 +Running `));
        await kubectl(`delete pod ${pod} --wait=false -n ${namespace}`);
        await watch.until(new RegExp(`^${pod} +1/1 +Terminating `));
        await watch.close();
        await kubectl(`wait --for=delete pod/${pod} -n ${namespace} --timeout=20s`);
      });

      test("logs follow what the container writes", async () => {
        const [pod = ""] = await lines(
          `get pods -l app=web -n ${namespace} -o jsonpath={.items[0].metadata.name}`,
        );
        const address = await kubectl(`get pod ${pod} -n ${namespace} -o jsonpath={.status.podIP}`);
        assert.match(
          await kubectl(`logs ${pod} -n ${namespace}`),
          /^stand-in for example\.com\/web:1: TCP 3000$/m,
        );
        const log = kubectl.follow(`logs ${pod} -f --tail=1 -n ${namespace}`);
        await log.until(/./);
        await live.exec("node/node-a", "curl", "-sS", `http://${address}:3000/followed`);
        await log.until(/^GET \/followed 200 from 10\.244\.0\.|^GET \/followed 200 from 172\.30\.0\.11$/);
        await log.close();
      });

      test("api-resources, explain, events", async () => {
        assert.match(
          await kubectl("api-resources"),
          /^ingresses +ing +networking\.k8s\.io\/v1 +true +Ingress$/m,
        );
        assert.match(await kubectl("explain service.spec.ports"), /FIELD: ports <\[\]ServicePort>/);
        assert.match(await kubectl(`events -n ${namespace}`), /Pod\/web-\S+ +Successfully assigned/);
      });

      test("delete namespace takes its content with it", async () => {
        await kubectl(`delete namespace ${namespace}`);
        const everything =
          "pods,services,ingresses,endpointslices,deployments,replicasets,secrets,configmaps,events";
        assert.equal(await kubectl(`get ${everything} -n ${namespace} -o name`), "");
        assert.equal(await kubectl(`get namespace ${namespace} --ignore-not-found`), "");
      });
    });
  }

  test("a second cluster at the same time has objects of its own", async () => {
    const other = createLive("kubectl-other");
    try {
      await other.up("-f", "examples/hadywafa");
      const [mine, theirs] = [live.kubectl("v35"), other.kubectl("v35")];
      await theirs("scale deployment api --replicas=1");
      await theirs("wait --for=jsonpath={.status.replicas}=1 deployment/api --timeout=20s");
      assert.equal(
        await mine("get deployment api -o jsonpath={.spec.replicas}/{.status.readyReplicas}"),
        "3/3",
      );
      for (const cluster of [live, other]) {
        const get = (): Promise<string> =>
          cluster.exec("internet", "curl", "-sSf", "http://api.hadywafa.com/");
        assert.match(await eventually(get), /"pod":"api-/);
      }
    } finally {
      await other.down();
    }
  });
});
