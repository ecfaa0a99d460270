/** What the real kubectl changes in a live cluster is what packets meet afterwards. */
import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { createCa, issueCertificate } from "#lib/pki";
import { createLive, eventually } from "../support/live.ts";

interface Answer {
  readonly pod: string;
  readonly containerPort: number;
}

interface Slices {
  readonly items: readonly {
    readonly endpoints?: readonly {
      readonly conditions: {
        readonly ready: boolean;
        readonly serving: boolean;
        readonly terminating: boolean;
      };
      readonly targetRef: { readonly name: string };
    }[];
  }[];
}

const byName = (a: string, b: string): number => a.localeCompare(b);

describe("kubectl changes the path", { timeout: 180_000 }, () => {
  const live = createLive("packets");
  const kubectl = live.kubectl("v35");
  before(() => live.up("-f", "examples/hadywafa"));
  after(() => live.down());

  /** The answers to requests from a place; a `[1-9]` in the URL makes nine of them, each on a connection of its own. */
  const ask = async (from: string, url: string, ...options: readonly string[]): Promise<Answer[]> => {
    const text = await live.exec(from, "curl", "-sSf", "-m", "5", "-H", "Connection: close", ...options, url);
    return text
      .trim()
      .split("\n")
      .map((line): Answer => JSON.parse(line));
  };
  const podsOf = (answers: readonly Answer[]): string[] =>
    [...new Set(answers.map(({ pod }) => pod))].toSorted(byName);
  const clusterIP = (service: string): Promise<string> =>
    kubectl(`get service ${service} -o jsonpath={.spec.clusterIP}`);

  /** The pods of a Service whose endpoint is so. */
  const endpoints = async (
    service: string,
    condition: "ready" | "serving" | "terminating" = "ready",
  ): Promise<string[]> => {
    const slices: Slices = JSON.parse(
      await kubectl(`get endpointslices -l kubernetes.io/service-name=${service} -o json`),
    );
    const all = slices.items.flatMap((slice) => slice.endpoints ?? []);
    return all
      .filter(({ conditions }) => conditions[condition])
      .map(({ targetRef }) => targetRef.name)
      .toSorted(byName);
  };

  /** Waits until just these pods answer on a node. */
  const answeredBy = async (service: string, pods: readonly string[]): Promise<void> => {
    const url = `http://${await clusterIP(service)}/?n=[1-${pods.length * 2}]`;
    await eventually(async () => assert.deepEqual(podsOf(await ask("node/node-a", url)), pods));
  };

  const spread = async (service: string, requests: number): Promise<(number | undefined)[]> => {
    const answers = await ask("node/node-a", `http://${await clusterIP(service)}/?n=[1-${requests}]`);
    return Object.values(Object.groupBy(answers, ({ pod }) => pod)).map((group) => group?.length);
  };

  test("a changed image replaces every pod while every request through the ingress is answered", async () => {
    const old = await endpoints("api-service");
    const flag = join(live.folder, "traffic");
    const script =
      'until [ -e "$1.end" ]; do curl -sS -m 5 -f http://api.hadywafa.com/ || echo "{\\"pod\\":\\"none\\"}"; touch "$1"; done';
    const traffic = live.exec("internet", "bash", "-c", script, "bash", flag);
    await eventually(async () => assert.ok(existsSync(flag)));
    await kubectl("set image deployment/api api=hadywafa/api:2.0");
    assert.match(await kubectl("rollout status deployment/api"), /successfully rolled out/);
    const fresh = await endpoints("api-service");
    await answeredBy("api-service", fresh);
    writeFileSync(`${flag}.end`, "");
    const answers = (await traffic)
      .trim()
      .split("\n")
      .map((line): Answer => JSON.parse(line));
    assert.equal(fresh.length, 3);
    assert.deepEqual(
      fresh.filter((pod) => old.includes(pod)),
      [],
    );
    assert.ok(old.includes(answers[0]?.pod ?? ""), "the first request is answered by an old pod");
    assert.deepEqual(podsOf(answers.filter(({ pod }) => !old.includes(pod))), fresh);
    assert.match(await kubectl("rollout history deployment/api"), /^2 /m);
    assert.match(
      await kubectl("describe deployment api"),
      /^Annotations: +deployment\.kubernetes\.io\/revision: 2$/m,
    );
    assert.match(await kubectl("rollout history deployment/api --revision=1"), /hadywafa\/api:1\.0/);
  });

  for (const replicas of [5, 2]) {
    test(`scaled to ${replicas}, new connections from one node spread over the new set exactly evenly`, async () => {
      await kubectl(`scale deployment/api --replicas=${replicas}`);
      await kubectl("rollout status deployment/api");
      const ready = await eventually(async () => {
        const pods = await endpoints("api-service");
        assert.equal(pods.length, replicas);
        return pods;
      });
      await answeredBy("api-service", ready);
      assert.deepEqual(
        await spread("api-service", replicas * 20),
        Array.from({ length: replicas }, () => 20),
      );
    });
  }

  test("a deleted pod is replaced, and the new one takes its share", async () => {
    const [victim = "", survivor = ""] = await endpoints("api-service");
    await kubectl(`delete pod ${victim}`);
    await kubectl("rollout status deployment/api");
    const pods = await endpoints("api-service");
    assert.equal(pods.length, 2);
    assert.ok(pods.includes(survivor) && !pods.includes(victim));
    await answeredBy("api-service", pods);
  });

  test("a Service becomes a load balancer and a node port by a patch", async () => {
    await kubectl('patch service api-service -p {"spec":{"type":"LoadBalancer"}}');
    const address = await eventually(async () => {
      const ip = await kubectl("get service api-service -o jsonpath={.status.loadBalancer.ingress[0].ip}");
      assert.match(ip, /^203\.0\.113\./);
      return ip;
    });
    const nodePort = await kubectl("get service api-service -o jsonpath={.spec.ports[0].nodePort}");
    for (const url of [
      `http://${address}/`,
      `http://172.30.0.11:${nodePort}/`,
      `http://172.30.0.12:${nodePort}/`,
    ]) {
      const [answer] = await eventually(() => ask("internet", url));
      assert.match(answer?.pod ?? "", /^api-/);
    }
  });

  test("an unready pod leaves its Services and DNS, and comes back", async () => {
    await kubectl(
      "apply -f -",
      `
apiVersion: apps/v1
kind: Deployment
metadata: {name: peers}
spec:
  replicas: 2
  selector: {matchLabels: {app: peers}}
  template:
    metadata: {labels: {app: peers}}
    spec:
      containers:
      - name: main
        image: peers:1
        ports: [{name: web, containerPort: 3000}]
        readinessProbe: {httpGet: {path: /healthz, port: web}, periodSeconds: 1, failureThreshold: 1}
---
apiVersion: v1
kind: Service
metadata: {name: peers}
spec: {selector: {app: peers}, ports: [{name: www, port: 80, targetPort: web}]}
---
apiVersion: v1
kind: Service
metadata: {name: peers-headless}
spec: {clusterIP: None, selector: {app: peers}, ports: [{name: www, port: 80, targetPort: web}]}
`,
    );
    await kubectl("rollout status deployment/peers");
    const pods = await endpoints("peers");
    const [victim = "", other = ""] = pods;
    const address = (pod: string): Promise<string> => kubectl(`get pod ${pod} -o jsonpath={.status.podIP}`);
    const addresses = [await address(victim), await address(other)];
    /** What a program in a pod learns from the C library about the short name of the headless Service. */
    const resolved = async (): Promise<string[]> => {
      const text = await live.exec(`pod/default/${other}`, "getent", "ahostsv4", "peers-headless");
      return [
        ...new Set(
          text
            .trim()
            .split("\n")
            .map((line) => line.split(" ")[0] ?? ""),
        ),
      ].toSorted(byName);
    };
    const behave = (how: string): Promise<string> =>
      live.exec(
        "node/node-a",
        "curl",
        "-sSf",
        "-X",
        "POST",
        `http://${addresses[0]}:3000/_inroad/behave?${how}`,
      );

    await answeredBy("peers", pods);
    const [answer] = await ask("node/node-a", `http://${await clusterIP("peers")}/`);
    assert.equal(answer?.containerPort, 3000);
    await eventually(async () => assert.deepEqual(await resolved(), addresses.toSorted(byName)));

    await behave("status=500");
    await kubectl(`wait --for=condition=Ready=false pod/${victim} --timeout=20s`);
    assert.match(await kubectl(`describe pod ${victim}`), /Readiness probe failed: .*statuscode: 500/);
    await answeredBy("peers", [other]);
    await eventually(async () => assert.deepEqual(await resolved(), addresses.slice(1)));

    await behave("status=200");
    await kubectl(`wait --for=condition=Ready pod/${victim} --timeout=20s`);
    await answeredBy("peers", pods);
    await eventually(async () => assert.deepEqual(await resolved(), addresses.toSorted(byName)));
  });

  test("a pod that ignores SIGTERM keeps its grace period, without new connections, and is killed", async () => {
    await kubectl(
      "apply -f -",
      `
apiVersion: v1
kind: Pod
metadata: {name: stubborn, labels: {app: peers}, annotations: {inroad.dev/stand-in: onSigterm=ignore}}
spec:
  terminationGracePeriodSeconds: 3
  containers: [{name: main, image: "peers:1", ports: [{name: web, containerPort: 3000}]}]
`,
    );
    await kubectl("wait --for=condition=Ready pod/stubborn --timeout=20s");
    const others = (await endpoints("peers")).filter((pod) => pod !== "stubborn");
    await answeredBy("peers", [...others, "stubborn"].toSorted(byName));
    const address = await kubectl("get pod stubborn -o jsonpath={.status.podIP}");
    const start = Date.now();
    await kubectl("delete pod stubborn --wait=false");
    await eventually(async () => assert.deepEqual(await endpoints("peers", "terminating"), ["stubborn"]));
    assert.deepEqual(await endpoints("peers", "serving"), [...others, "stubborn"].toSorted(byName));
    await answeredBy("peers", others);
    const [answer] = await ask("node/node-a", `http://${address}:3000/`);
    assert.equal(answer?.pod, "stubborn");
    await kubectl("wait --for=delete pod/stubborn --timeout=20s");
    const seconds = (Date.now() - start) / 1000;
    assert.ok(seconds > 2.9 && seconds < 15, `gone after ${seconds} s`);
    assert.match(await kubectl("get events"), /Killing +pod\/stubborn +Stopping container main/);
  });

  test("a Secret gives an Ingress its certificate, hot; another one replaces it", async () => {
    const ingress = {
      apiVersion: "networking.k8s.io/v1",
      kind: "Ingress",
      metadata: { name: "shop" },
      spec: {
        tls: [{ hosts: ["shop.test"], secretName: "shop-tls" }],
        defaultBackend: { service: { name: "peers", port: { name: "www" } } },
        rules: [{ host: "shop.test" }],
      },
    };
    await kubectl("apply -f -", JSON.stringify(ingress));
    const get = (ca: string): Promise<Answer[]> => ask("internet", "https://shop.test/", "--cacert", ca);
    for (const [round, word] of ["created", "configured"].entries()) {
      const issuer = await createCa({ commonName: `issuer ${round}`, days: 1 });
      const own = await issueCertificate(issuer, {
        commonName: "shop.test",
        dnsNames: ["shop.test"],
        usages: ["server"],
        days: 1,
      });
      const file = (name: string, text: string): string => {
        const path = join(live.folder, `${name}-${round}.pem`);
        writeFileSync(path, text);
        return path;
      };
      const ca = file("ca", issuer.certificate);
      await assert.rejects(get(ca), "nobody shows this certificate yet");
      const [cert, key] = [file("cert", own.certificate), file("key", own.key)];
      const secret = await kubectl(
        `create secret tls shop-tls --cert=${cert} --key=${key} --dry-run=client -o yaml`,
      );
      assert.equal(await kubectl("apply -f -", secret), `secret/shop-tls ${word}\n`);
      const [answer] = await eventually(() => get(ca));
      assert.match(answer?.pod ?? "", /^peers-/);
    }
  });

  /** The status that the outside gets for a host; 0 for none. */
  const status = async (url: string): Promise<number> => {
    const { stdout } = await live.cli(
      ...[
        "exec",
        "--name",
        "packets",
        "--from",
        "internet",
        "--",
        "curl",
        "-s",
        "-m",
        "5",
        "-o",
        "/dev/null",
      ],
      ...["-w", "%{http_code}", "--resolve", "api.hadywafa.com:80:203.0.113.128", url],
    );
    return Number(stdout);
  };

  test("what is deleted is gone from the path: Ingress 404, Deployment 503, Service refused", async () => {
    const url = "http://api.hadywafa.com/";
    const address = await clusterIP("api-service");
    assert.equal(await status(url), 200);
    await kubectl("delete deployment api");
    await eventually(async () => assert.equal(await status(url), 503));
    assert.deepEqual(await endpoints("api-service"), []);
    await assert.rejects(ask("node/node-a", `http://${address}/`), /Connection refused|Couldn't connect/);
    await kubectl("delete ingress api-ingress shop");
    await eventually(async () => assert.equal(await status(url), 404));
    const pod = (await endpoints("peers"))[0] ?? "";
    await kubectl("delete service peers-headless");
    await eventually(async () => {
      await assert.rejects(live.exec(`pod/default/${pod}`, "getent", "ahostsv4", "peers-headless"), /exit 2/);
    });
    await kubectl("delete service api-service");
    assert.equal(
      await kubectl("get endpointslices,endpoints -o name -l kubernetes.io/service-name=api-service"),
      "",
    );
  });

  test("a namespace is deleted with everything in it, on the path too", async () => {
    await kubectl("apply -f -", '{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"away"}}');
    await kubectl("apply -n away -f examples/hadywafa");
    await kubectl("rollout status deployment/api -n away");
    await eventually(async () => assert.equal(await status("http://api.hadywafa.com/"), 200));
    await kubectl("delete namespace away");
    assert.equal(await kubectl("get all,ingresses,endpointslices -n away -o name"), "");
    await eventually(async () => assert.equal(await status("http://api.hadywafa.com/"), 404));
  });

  test("all Services deleted, the one of the API comes back: new ingress replicas and DNS still find it", async () => {
    await kubectl("delete services --all");
    assert.equal(await kubectl("get service kubernetes -o jsonpath={.spec.clusterIP}"), "10.96.0.1");
    await kubectl("delete pods --all -n inroad-system");
    await kubectl("delete pods --all -n kube-system");
    await kubectl("apply -f examples/hadywafa");
    await kubectl("rollout status deployment/api");
    await kubectl("rollout status deployment/kube-dns -n kube-system");
    await kubectl("rollout status deployment/inroad-ingress -n inroad-system");
    await eventually(async () => assert.equal(await status("http://api.hadywafa.com/"), 200));
    const [pod = ""] = await endpoints("api-service");
    const [answer] = await eventually(() => ask(`pod/default/${pod}`, "http://api-service/"));
    assert.match(answer?.pod ?? "", /^api-/);
  });

  test("a node is deleted: its pods go, new ones take their place elsewhere, traffic goes on", async () => {
    await kubectl("delete node node-b");
    await eventually(async () => {
      const nodes = await kubectl("get pods -A -o jsonpath={.items[*].spec.nodeName}");
      assert.deepEqual(new Set(nodes.split(" ")), new Set(["node-a"]));
    });
    await kubectl("rollout status deployment/api");
    await kubectl("rollout status deployment/inroad-ingress -n inroad-system");
    const pods = await endpoints("api-service");
    assert.equal(pods.length, 3);
    await answeredBy("api-service", pods);
    await eventually(async () => assert.equal(await status("http://api.hadywafa.com/"), 200));
  });
});
