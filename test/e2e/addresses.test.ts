/** Load-balancer addresses: two families, several pools, shared ones, and what cannot be had, by kubectl and with packets. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { createLive, eventually } from "../support/live.ts";

const config = `
loadBalancer:
  pools:
    - {name: default, addresses: [203.0.113.128-203.0.113.131, "2001:db8:203:113:8000::/65"]}
    - {name: partner, addresses: [198.51.100.7-198.51.100.8, "2001:db8:51::/64"], autoAssign: false}
`;

interface Wish {
  readonly annotations?: Record<string, string>;
  readonly spec?: object;
  readonly port?: number;
}

function service(name: string, { annotations = {}, spec = {}, port = 80 }: Wish = {}): object {
  return {
    ...{ apiVersion: "v1", kind: "Service", metadata: { name, annotations } },
    spec: { type: "LoadBalancer", selector: { app: "web" }, ports: [{ port, targetPort: 3000 }], ...spec },
  };
}

const list = (...items: readonly object[]): string =>
  items.map((item) => JSON.stringify(item)).join("\n---\n");
const dual = { ipFamilyPolicy: "RequireDualStack" };
const named = (name: string) => ({ "external-dns.kubernetes.io/hostname": name });
const sharedAddress = "203.0.113.131";
const shared = {
  annotations: {
    "metallb.universe.tf/allow-shared-ip": "front",
    "metallb.io/loadBalancerIPs": sharedAddress,
  },
};
const client = "203.0.113.10";
const client6 = "2001:db8:203:113::10";

const web = {
  ...{ apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "web" } },
  spec: {
    replicas: 2,
    selector: { matchLabels: { app: "web" } },
    template: {
      metadata: { labels: { app: "web" } },
      spec: { containers: [{ name: "web", image: "example.com/web:1", ports: [{ containerPort: 3000 }] }] },
    },
  },
};

const ingress = {
  ...{ apiVersion: "networking.k8s.io/v1", kind: "Ingress", metadata: { name: "web" } },
  spec: {
    rules: [
      {
        host: "ingress.example",
        http: {
          paths: [
            { path: "/", pathType: "Prefix", backend: { service: { name: "both", port: { number: 80 } } } },
          ],
        },
      },
    ],
  },
};

describe("load-balancer addresses", { timeout: 120_000 }, () => {
  const live = createLive("addresses");
  const kubectl = live.kubectl("v35");
  before(async () => {
    const file = join(live.folder, "pools.yaml");
    writeFileSync(file, config);
    await live.up("--ip-families", "dual", "--config", file);
    const local = { externalTrafficPolicy: "Local" };
    const restricted = { loadBalancerSourceRanges: ["192.0.2.0/24"] };
    await kubectl(
      "apply -f -",
      list(
        web,
        ingress,
        service("both", { spec: dual, annotations: named("both.example") }),
        service("six", { spec: { ipFamilies: ["IPv6"] }, annotations: named("six.example") }),
        service("partner", { spec: dual, annotations: { "metallb.io/address-pool": "partner" } }),
        service("front", { ...shared }),
        service("front-local", { ...shared, port: 81, spec: local }),
        service("front-restricted", { ...shared, port: 82, spec: restricted }),
      ),
    );
    await kubectl("rollout status deployment/web --timeout=30s");
  });
  after(() => live.down());

  const addressesOf = async (name: string): Promise<string> =>
    kubectl(`get service ${name} -o jsonpath={.status.loadBalancer.ingress[*].ip}`);
  const expectAddresses = (name: string, expected: string): Promise<void> =>
    eventually(async () => assert.equal(await addressesOf(name), expected));
  /** Whom the pod that answers a client outside sees. */
  const peerOf = async (...request: readonly string[]): Promise<string> => {
    const text = await live.exec("internet", "curl", "-sSf", "-m", "3", ...request);
    return (JSON.parse(text) as { peer: { address: string } }).peer.address;
  };
  /** curl's exit status: 7 is a connection refused, 28 no answer in time. */
  const statusOf = async (from: string, url: string): Promise<number> =>
    (await live.cli("exec", "--name", "addresses", "--from", from, "--", "curl", "-s", "-m", "1", url)).code;
  const expectEvent = (name: string, reason: string, message: RegExp): Promise<void> =>
    eventually(async () => {
      const about = `--field-selector involvedObject.name=${name},reason=${reason}`;
      assert.match(await kubectl(`get events ${about} -o jsonpath={.items[*].message}`), message);
    });
  const trace = async (url: string) => {
    const { stdout, stderr } = await live.cli("trace", "--name", "addresses", url, "-o", "json");
    const told = JSON.parse(stdout) as { disagreements: unknown[]; verdict: { outcome: string } };
    assert.deepEqual(told.disagreements, [], stderr);
    return told.verdict.outcome;
  };

  test("a Service has one address of each of its families, in mode VIP", async () => {
    await expectAddresses("both", "203.0.113.129 2001:db8:203:113:8000::2");
    await expectAddresses("six", "2001:db8:203:113:8000::3");
    const modes = await kubectl("get service both -o jsonpath={.status.loadBalancer.ingress[*].ipMode}");
    assert.equal(modes, "VIP VIP");
  });

  test("the public DNS has AAAA records, and clients come in by either family", async () => {
    await eventually(() => peerOf("-6", "http://both.example/"));
    await eventually(() => peerOf("-4", "http://both.example/"));
    await eventually(() => peerOf("-6", "http://six.example/"));
    assert.equal(await statusOf("internet", "http://[2001:db8:203:113:8000::3]:81/"), 7);
  });

  test("hosts of Ingresses have both families, too", async () => {
    const forwardedFor = async (option: string): Promise<string | undefined> => {
      const text = await live.exec("internet", "curl", "-sSf", "-m", "3", option, "http://ingress.example/");
      return (JSON.parse(text) as { headers: Record<string, string> }).headers["x-forwarded-for"];
    };
    assert.equal(await eventually(() => forwardedFor("-6")), client6);
    assert.equal(await eventually(() => forwardedFor("-4")), client);
    const shown = await kubectl("get ingress web -o jsonpath={.status.loadBalancer.ingress[*].ip}");
    assert.match(shown, /^203\.0\.113\.\d+ 2001:db8:203:113:8000::\d+$/);
    assert.equal(await trace("http://ingress.example/"), "delivered");
  });

  test("traces of names and addresses of IPv6 agree with the packets", async () => {
    for (const host of ["six.example", "both.example", "[2001:db8:203:113:8000::2]"])
      assert.equal(await trace(`http://${host}/`), "delivered", host);
  });

  test("a pool that lies elsewhere is routed and refused as the first one is", async () => {
    await expectAddresses("partner", "198.51.100.7 2001:db8:51::1");
    await eventually(() => peerOf("http://198.51.100.7/"));
    await eventually(() => peerOf("http://[2001:db8:51::1]/"));
    for (const url of ["http://198.51.100.8/", "http://[2001:db8:51::2]/"])
      assert.equal(await statusOf("internet", url), 7, url);
    const pod = await kubectl("get pods -o jsonpath={.items[0].metadata.name}");
    assert.equal(await statusOf(`pod/default/${pod}`, "http://198.51.100.8/"), 7);
    for (const address of ["198.51.100.8", "2001:db8:51::2"]) {
      const route = await live.exec("node/node-a", "ip", "route", "get", address);
      assert.match(route, /via (172\.30\.0\.2|fd00:172:30::2) dev eth0/);
    }
    assert.equal(await trace("http://198.51.100.7/"), "delivered");
  });

  test("at a shared address each Service keeps its own traffic policy and source ranges", async () => {
    const names = ["front", "front-local", "front-restricted"];
    for (const name of names) await expectAddresses(name, sharedAddress);
    assert.match(await eventually(() => peerOf(`http://${sharedAddress}/`)), /^(172\.30|10\.244)\./);
    assert.equal(await eventually(() => peerOf(`http://${sharedAddress}:81/`)), client);
    assert.equal(await statusOf("internet", `http://${sharedAddress}:82/`), 28);
    const ranges = { spec: { loadBalancerSourceRanges: [`${client}/32`] } };
    await kubectl(`patch service front-restricted -p ${JSON.stringify(ranges)}`);
    await eventually(() => peerOf(`http://${sharedAddress}:82/`));
    assert.equal(await statusOf("internet", `http://${sharedAddress}:83/`), 7);
  });

  test("with externalTrafficPolicy Local a pod sees the client's own IPv6 address", async () => {
    await kubectl(`patch service six -p ${JSON.stringify({ spec: { externalTrafficPolicy: "Local" } })}`);
    await eventually(async () => assert.equal(await peerOf("-6", "http://six.example/"), client6));
  });

  test("what cannot be had is told by events", async () => {
    const { annotations } = shared;
    await kubectl(
      "apply -f -",
      list(
        service("taken", { spec: { loadBalancerIP: sharedAddress } }),
        service("same-port", { annotations }),
        service("nowhere", { spec: { loadBalancerIP: "192.0.2.1" } }),
        service("no-pool", { annotations: { "metallb.io/address-pool": "big" } }),
        service("unknown", { spec: { type: "ClusterIP" }, annotations: { "metallb.io/allow-all": "x" } }),
      ),
    );
    await expectEvent("taken", "AddressInUse", /203\.0\.113\.131 belongs to Service default\/front/);
    await expectEvent("same-port", "NotShareable", /both have the port 80\/TCP/);
    await expectEvent("nowhere", "AddressNotInPool", /192\.0\.2\.1 is not in the pools default \(/);
    await expectEvent("no-pool", "UnknownPool", /there is no address pool big; write one of default \(/);
    await expectEvent("unknown", "UnknownAnnotation", /metallb\.io\/allow-all is not implemented/);
    for (const name of ["taken", "same-port", "nowhere", "no-pool"])
      assert.equal(await addressesOf(name), "");
  });

  test("an address that becomes free goes to who waits for it", async () => {
    await kubectl("apply -f -", list(service("fill")));
    await expectAddresses("fill", "203.0.113.130");
    await kubectl("apply -f -", list(service("late")));
    await expectEvent("late", "AddressPoolExhausted", /no IPv4 address of default \(203\.0\.113\.128-/);
    await kubectl("delete service fill");
    await expectAddresses("late", "203.0.113.130");
    await eventually(() => peerOf("http://203.0.113.130/"));
    // Of those who share an address with others, one with the same port had to wait.
    await kubectl("delete service front");
    await expectAddresses("same-port", sharedAddress);
    await eventually(() => peerOf(`http://${sharedAddress}/`));
  });

  test("a Service of another class is left alone, and its class never changes", async () => {
    const other = { spec: { loadBalancerClass: "example.com/lb" } };
    await kubectl("apply -f -", list(service("foreign", other)));
    const change = JSON.stringify({ spec: { loadBalancerClass: "inroad.dev/load-balancer" } });
    const { code, stderr } = await kubectl.attempt(`patch service foreign -p ${change}`);
    assert.equal(code, 1);
    assert.match(stderr, /spec\.loadBalancerClass: Invalid value: .*may not change once set/);
    await kubectl(
      "apply -f -",
      list(
        service("ours", {
          port: 8443,
          spec: { loadBalancerClass: "inroad.dev/load-balancer", ipFamilies: ["IPv6"] },
        }),
      ),
    );
    await eventually(async () => assert.match(await addressesOf("ours"), /^2001:db8:203:113:8000::/));
    assert.equal(await addressesOf("foreign"), "");
  });
});
