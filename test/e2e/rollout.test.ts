/**
 * Rolling updates that lose nothing: real clients at three places keep opening connections and sending requests while an
 * application that dies at once of SIGTERM, and then the ingress itself, are rolled over with kubectl.
 */
import assert from "node:assert/strict";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { createLive, eventually } from "../support/live.ts";
import { startLoad, type Load } from "../support/load-at.ts";
import type { Stream } from "../support/load.ts";

/** As dumb as applications are: no handler for SIGTERM, so the signal ends it with all its connections. */
const application = `
import { createServer } from "node:http";
createServer((request, response) => response.end("here")).listen(8080);
`;

const manifest = (graceSeconds: number): string => `
apiVersion: apps/v1
kind: Deployment
metadata: { name: app }
spec:
  replicas: 3
  selector: { matchLabels: { app: app } }
  template:
    metadata: { labels: { app: app } }
    spec:
      terminationGracePeriodSeconds: ${graceSeconds}
      containers:
        - name: app
          image: example.com/app
          ports: [{ containerPort: 8080 }]
          readinessProbe: { httpGet: { path: /, port: 8080 }, periodSeconds: 1 }
`;

const surroundings = `
apiVersion: v1
kind: Service
metadata: { name: app }
spec:
  type: LoadBalancer
  selector: { app: app }
  ports: [{ port: 80, targetPort: 8080 }]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: app }
spec:
  rules:
    - host: app.test
      http:
        paths:
          - { path: /, pathType: Prefix, backend: { service: { name: app, port: { number: 80 } } } }
---
apiVersion: v1
kind: Pod
metadata: { name: client }
spec: { containers: [{ name: client, image: example.com/client, ports: [{ containerPort: 9000 }] }] }
`;

for (const mode of ["nftables", "iptables"]) {
  describe(`rollouts with ${mode}`, { timeout: 180_000 }, () => {
    const name = `rollout-${mode}`;
    const live = createLive(name);
    const kubectl = live.kubectl("v35");
    let loads: Load[] = [];

    before(async () => {
      // As root the application runs as nobody, who must be able to read it.
      chmodSync(live.folder, 0o755);
      const script = join(live.folder, "application.mjs");
      writeFileSync(script, application);
      const config = join(live.folder, "mapping.json");
      const command = [process.execPath, script];
      writeFileSync(config, JSON.stringify({ commands: [{ image: "example.com/app", command }] }));
      const file = join(live.folder, "app.yaml");
      writeFileSync(file, `${manifest(30)}---${surroundings}`);
      await live.up("-f", file, "--config", config, "--proxy-mode", mode);
    });
    after(async () => {
      await Promise.all(loads.map((load) => load.stop().catch(() => undefined)));
      await live.down();
    });

    const jsonpath = (what: string, path: string): Promise<string> =>
      kubectl(`get ${what} -o jsonpath={${path}}`);
    const ingressAddress = (): Promise<string> =>
      jsonpath("service inroad-ingress -n inroad-system", ".status.loadBalancer.ingress[0].ip");

    /** Clients at a node, in a pod and outside, all at once. */
    const startClients = async (): Promise<void> => {
      const clusterIP = await jsonpath("service app", ".spec.clusterIP");
      const nodePort = await jsonpath("service app", ".spec.ports[0].nodePort");
      const address = await jsonpath("service app", ".status.loadBalancer.ingress[0].ip");
      const ingress = await ingressAddress();
      const fresh = (stream: string, to: string, rate = 40): Stream => ({
        name: stream,
        url: `http://${to}/`,
        connections: "new",
        rate,
      });
      const through = (stream: string, scheme: string, connections: Stream["connections"]): Stream => ({
        name: stream,
        url: `${scheme}://${ingress}/`,
        host: "app.test",
        connections,
        rate: 20,
      });
      const places: Record<string, readonly Stream[]> = {
        "node/node-a": [
          fresh("ClusterIP from a node", clusterIP),
          fresh("NodePort", `172.30.0.12:${nodePort}`),
        ],
        "pod/default/client": [fresh("ClusterIP from a pod", clusterIP)],
        internet: [
          fresh("load balancer", address),
          fresh("NodePort from outside", `172.30.0.11:${nodePort}`),
          through("ingress", "http", "new"),
          through("ingress, TLS", "https", "new"),
          through("ingress, kept connections", "http", "kept"),
          through("ingress, TLS, kept connections", "https", "kept"),
        ],
      };
      loads = await Promise.all(
        Object.entries(places).map(([place, streams]) => startLoad(live.cli, name, place, streams)),
      );
    };
    const failuresOf = async (least = 1): Promise<string[]> => {
      const tallies = await Promise.all(loads.splice(0).map((load) => load.stop()));
      return tallies.flatMap((tally) =>
        Object.entries(tally).flatMap(([stream, { answered, failures }]) => {
          assert.ok(answered >= least, `${stream}: only ${answered} answers`);
          return failures.map((failure) => `${stream}: ${failure}`);
        }),
      );
    };
    /** kubectl notes the time of a restart in seconds, and refuses a second one in the same. */
    let restartedIn = 0;
    const rollOver = async (deployment: string): Promise<void> => {
      const second = (): number => Math.floor(Date.now() / 1000);
      if (second() === restartedIn) await setTimeout(1001 - (Date.now() % 1000));
      await kubectl(`rollout restart ${deployment}`);
      restartedIn = second();
      await kubectl(`rollout status ${deployment} --timeout=30s`);
    };
    /** Waits until no pod is on its way out. */
    const allEnded = (): Promise<void> =>
      eventually(async () => {
        const all = await kubectl("get pods -A -o jsonpath={.items[*].metadata.deletionTimestamp}");
        assert.equal(all, "");
      });

    test("five rollouts, restarts of the ingress and of the cluster DNS fail no connection and no request", async () => {
      await startClients();
      for (let round = 1; round <= 5; round += 1) await rollOver("deployment/app");
      const ingress = "deployment/inroad-ingress -n inroad-system";
      await rollOver(ingress);
      // Down to one: a node stops to be one for the load balancer. Rolled over so, another one takes its place.
      await kubectl(`scale ${ingress} --replicas=1`);
      await allEnded();
      await rollOver(ingress);
      await kubectl(`scale ${ingress} --replicas=2`);
      await rollOver("deployment/kube-dns -n kube-system");
      await allEnded();
      assert.deepEqual(await failuresOf(100), []);
    });

    test("the same drill sees what is lost where a grace of 0 leaves no time to wait", async () => {
      await kubectl("apply -f -", manifest(0));
      await kubectl("rollout status deployment/app --timeout=30s");
      await startClients();
      await rollOver("deployment/app");
      assert.notDeepEqual(await failuresOf(), []);
    });
  });
}
