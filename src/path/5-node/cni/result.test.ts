import assert from "node:assert/strict";
import { test } from "node:test";
import { linkFor } from "../pod-link.ts";
import { buildResult, readResult } from "./result.ts";

const link = linkFor("cni pods/c1/eth0", ["10.244.0.2", "fd00:10:244::2"]);
const made = { attachment: { containerID: "c1", ifname: "eth0" }, netns: "/run/netns/c1", link, mtu: 1450 };

test("a result of 1.1.0 has both ends with their MTU, host addresses and the gateways", () => {
  assert.deepEqual(buildResult("1.1.0", made, { nameservers: ["10.96.0.10"] }), {
    cniVersion: "1.1.0",
    interfaces: [
      { name: link.device, mac: "ee:ee:ee:ee:ee:ee", mtu: 1450 },
      { name: "eth0", mac: "0a:58:0a:f4:00:02", mtu: 1450, sandbox: "/run/netns/c1" },
    ],
    ips: [
      { address: "10.244.0.2/32", gateway: "169.254.1.1", interface: 1 },
      { address: "fd00:10:244::2/128", gateway: "fe80::1", interface: 1 },
    ],
    routes: [
      { dst: "0.0.0.0/0", gw: "169.254.1.1" },
      { dst: "::/0", gw: "fe80::1" },
    ],
    dns: { nameservers: ["10.96.0.10"] },
  });
});

test("before 1.1.0 there is no MTU, before 1.0.0 each address has its version", () => {
  const [older, oldest] = [buildResult("1.0.0", made, {}), buildResult("0.3.1", made, {})];
  for (const { interfaces } of [older, oldest]) assert.ok(interfaces.every((one) => !("mtu" in one)));
  assert.ok(older.ips.every((one) => !("version" in one)));
  assert.deepEqual(
    oldest.ips.map(({ version }) => version),
    ["4", "6"],
  );
});

test("what earlier plugins of the chain made is handed on, ours stands behind it", () => {
  const before = readResult({
    interfaces: [{ name: "dummy0", pciID: "0000:00:1f.6" }],
    ips: [{ address: "192.0.2.1/32", interface: 0 }],
    routes: null,
    dns: { domain: "example.com" },
  });
  const { interfaces, ips, dns } = buildResult("1.1.0", made, { search: ["svc"] }, before);
  assert.deepEqual(interfaces[0], { name: "dummy0", pciID: "0000:00:1f.6" });
  assert.deepEqual(
    ips.map((one) => one.interface),
    [0, 2, 2],
  );
  assert.deepEqual(dns, { domain: "example.com", search: ["svc"] });
});

test("a previous result that is none is refused by the name of the field", () => {
  for (const value of [
    null,
    [],
    { ips: {} },
    { ips: [{}] },
    { interfaces: [{ name: 7 }] },
    { routes: [null] },
    { dns: [] },
  ])
    assert.throws(() => readResult(value), { kind: "badConfig", message: /prevResult/ });
});
