import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import type { Server as HttpServer } from "node:http";
import { createServer } from "node:https";
import type { Server } from "node:https";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { createCa, issueCertificate } from "#lib/pki";
import { kubectlPath, kubectlVersions, runKubectl } from "../../test/support/kubectl.ts";
import { createTestApi } from "./testing.ts";
import type { TestApi } from "./testing.ts";

const APP = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: api}
spec:
  replicas: 3
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api}}
    spec: {containers: [{name: api, image: "example.com/api:1", ports: [{containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: api-service}
spec: {selector: {app: api}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: api-ingress}
spec:
  rules:
  - host: api.hadywafa.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: api-service, port: {number: 80}}}}]}
`;

/** A cluster that a real kubectl can be pointed at; its one node has an agent that knows logs. */
interface Cluster {
  readonly api: TestApi;
  readonly args: readonly string[];
  readonly kubeconfig: string;
  readonly cacheDir: string;
  close(): void;
}

async function listen(server: Server | HttpServer): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  return address.port;
}

const base64 = (text: string): string => Buffer.from(text).toString("base64");

async function createCluster(): Promise<Cluster> {
  const folder = mkdtempSync(join(tmpdir(), "inroad-kubectl-"));
  const ca = await createCa({ commonName: "cluster", days: 1 });
  const own = await issueCertificate(ca, {
    commonName: "api",
    ipAddresses: ["127.0.0.1"],
    usages: ["server"],
    days: 1,
  });
  const admin = await issueCertificate(ca, {
    commonName: "admin",
    organizations: ["system:masters"],
    usages: ["client"],
    days: 1,
  });
  const agent = createHttpServer((request, response) => response.end(`log of ${request.url}\n`));
  const agentPort = await listen(agent);
  const api = createTestApi({
    authenticate: { tokens: new Map(), clientCA: ca.certificate },
    dial: () => connect(agentPort, "127.0.0.1"),
    kubernetesEndpoint: { address: "172.30.0.1", port: 6443 },
  });
  await api.call("POST", "/api/v1/nodes", {
    metadata: { name: "node-a" },
    status: { addresses: [{ type: "InternalIP", address: "172.30.0.11" }] },
  });
  const server = createServer(
    { key: own.key, cert: own.certificate, requestCert: true, rejectUnauthorized: false },
    (q, r) => api.server.handle(q, r),
  );
  const port = await listen(server);
  const kubeconfig = join(folder, "config");
  const config = {
    apiVersion: "v1",
    kind: "Config",
    "current-context": "c",
    contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
    clusters: [
      {
        name: "c",
        cluster: {
          server: `https://127.0.0.1:${port}`,
          "certificate-authority-data": base64(ca.certificate),
        },
      },
    ],
    users: [
      {
        name: "u",
        user: { "client-certificate-data": base64(admin.certificate), "client-key-data": base64(admin.key) },
      },
    ],
  };
  writeFileSync(kubeconfig, JSON.stringify(config));
  const cacheDir = join(folder, "cache");
  return {
    api,
    kubeconfig,
    cacheDir,
    args: [`--kubeconfig=${kubeconfig}`, `--cache-dir=${cacheDir}`],
    close: () => {
      api.server.close();
      for (const item of [server, agent]) {
        item.closeAllConnections();
        item.close();
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const told = (deployment: string, others: string): string[] => [
  `deployment.apps/api ${deployment}`,
  `service/api-service ${others}`,
  `ingress.networking.k8s.io/api-ingress ${others}`,
];

for (const version of kubectlVersions) {
  const path = kubectlPath(version);
  const skip = path === undefined ? `there is no kubectl ${version} for this platform` : false;
  describe(`kubectl ${version}`, { skip }, () => {
    let cluster: Cluster;
    before(async () => {
      cluster = await createCluster();
    });
    after(() => cluster.close());

    const run = async (args: string, input?: string): Promise<string> => {
      const { kubeconfig, cacheDir } = cluster;
      const result = await runKubectl(path ?? "", args.split(" "), {
        kubeconfig,
        cacheDir,
        ...(input === undefined ? {} : { input }),
      });
      assert.equal(result.code, 0, `kubectl ${args}: ${result.stderr}`);
      assert.equal(result.stderr, "", `kubectl ${args}`);
      return result.stdout;
    };
    const lines = async (args: string, input?: string): Promise<string[]> =>
      (await run(args, input)).trimEnd().split("\n");

    it("version tells the server's", async () => {
      assert.match(await run("version"), /Server Version: v1\.34\.\d+-inroad/);
    });

    it("apply creates, leaves alone what is unchanged, and changes", async () => {
      assert.deepEqual(await lines("apply -f -", APP), told("created", "created"));
      assert.deepEqual(await lines("apply -f -", APP), told("unchanged", "unchanged"));
      assert.deepEqual(
        await lines("apply -f -", APP.replace("api:1", "api:2")),
        told("configured", "unchanged"),
      );
      assert.equal(
        await run("get deployment api -o jsonpath={.spec.template.spec.containers[*].image}"),
        "example.com/api:2",
      );
    });

    it("apply refuses what the schema does not know", async () => {
      const wrong = APP.replace("replicas: 3", "replica: 3");
      const { kubeconfig, cacheDir } = cluster;
      const result = await runKubectl(path ?? "", ["apply", "-f", "-"], {
        kubeconfig,
        cacheDir,
        input: wrong,
      });
      assert.equal(result.code, 1);
      assert.match(result.stderr, /strict decoding error: unknown field "spec.replica"/);
    });

    it("get shows tables, wide ones, JSON and YAML", async () => {
      const [head = "", row = ""] = await lines("get svc api-service -o wide");
      assert.match(head, /^NAME +TYPE +CLUSTER-IP +EXTERNAL-IP +PORT\(S\) +AGE +SELECTOR$/);
      assert.match(row, /^api-service +ClusterIP +10\.96\.\S+ +<none> +80\/TCP +\S+ +app=api$/);
      const object = JSON.parse(await run("get ingress api-ingress -o json")) as { kind: string };
      assert.equal(object.kind, "Ingress");
      assert.match(await run("get deployment api -o yaml"), /^apiVersion: apps\/v1\nkind: Deployment\n/);
      assert.match(await run("get all -A"), /service\/kubernetes +ClusterIP +10\.96\.0\.1 /);
    });

    for (const what of [
      "svc api-service",
      "ingress api-ingress",
      "deployment api",
      "node node-a",
      "ns default",
    ]) {
      it(`describe ${what}`, async () => {
        const name = what.split(" ")[1];
        assert.match(await run(`describe ${what}`), new RegExp(`^Name: +${name}\\n`));
      });
    }

    it("get -w follows changes", async () => {
      await run("create -f -", '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"watched"}}');
      const child = spawn(path ?? "", [...cluster.args, "get", "configmap", "watched", "-w", "--no-headers"]);
      const reader = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      const next = async (): Promise<string> => String((await reader.next()).value);
      assert.match(await next(), /^watched +0 /);
      await run('patch configmap watched -p {"data":{"a":"1"}}');
      assert.match(await next(), /^watched +1 /);
      child.kill();
      await once(child, "close");
    });

    it("scale, label, annotate and delete", async () => {
      await run("scale deployment api --replicas=5");
      assert.equal(await run("get deployment api -o jsonpath={.spec.replicas}"), "5");
      await run("label deployment api tier=web");
      await run("annotate deployment api note=x");
      assert.match(await run("get deployment -l tier=web -o name"), /^deployment.apps\/api$/m);
      await run("delete ingress api-ingress");
      assert.equal(await run("get ingress --ignore-not-found"), "");
    });

    it("rollout status and wait end when the status says so", async () => {
      const deployment = "/apis/apps/v1/namespaces/default/deployments/api";
      const waiting = run("rollout status deployment api --timeout=20s");
      const condition = run("wait --for=condition=Available deployment/api --timeout=20s");
      const { body } = await cluster.api.call("GET", deployment);
      const { generation } = body["metadata"] as { generation: number };
      const conditions = [{ type: "Available", status: "True", reason: "R", message: "m" }];
      const counts = { replicas: 5, updatedReplicas: 5, readyReplicas: 5, availableReplicas: 5 };
      await cluster.api.call("PATCH", `${deployment}/status`, {
        status: { observedGeneration: generation, ...counts, conditions },
      });
      assert.match(await waiting, /successfully rolled out/);
      assert.match(await condition, /condition met/);
    });

    it("logs come from the pod's node", async () => {
      await run(
        "create -f -",
        '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"},"spec":{"nodeName":"node-a","containers":[{"name":"c","image":"x"}]}}',
      );
      assert.equal(await run("logs p --tail=5"), "log of /containerLogs/default/p/c?tailLines=5\n");
    });

    it("api-resources and explain", async () => {
      assert.match(await run("api-resources"), /^deployments +deploy +apps\/v1 +true +Deployment$/m);
      assert.match(await run("explain ingress.spec.rules"), /FIELD: rules <\[\]IngressRule>/);
    });

    it("a namespace is deleted with its content", async () => {
      await run("create -f -", '{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"x"}}');
      await run("create -n x -f -", '{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"}}');
      await run("delete namespace x");
      assert.equal(await run("get namespace x --ignore-not-found"), "");
    });

    it("what only protobuf can say is refused with advice", async () => {
      const { kubeconfig, cacheDir } = cluster;
      const result = await runKubectl(path ?? "", ["create", "namespace", "y"], { kubeconfig, cacheDir });
      assert.match(
        result.stderr,
        /protobuf request bodies are not supported yet: send the object with kubectl apply/,
      );
    });
  });
}
