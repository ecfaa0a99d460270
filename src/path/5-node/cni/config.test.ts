import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as fc from "fast-check";
import { readNetwork, readPrevResult, readSettings, readValidAttachments } from "./config.ts";
import { parseDocument } from "./document.ts";
import { CniError } from "./error.ts";
import { supportedVersions } from "./versions.ts";

const document = {
  cniVersion: "1.1.0",
  name: "pods",
  type: "inroad",
  ipam: { type: "host-local", subnet: "10.244.0.0/24" },
};
const withIpam = (ipam: object) => ({ ...document, ipam: { type: "host-local", ...ipam } });

test("a configuration with a subnet is enough", () => {
  assert.deepEqual(readNetwork(document, "ADD"), {
    cniVersion: "1.1.0",
    name: "pods",
    dataDir: "/var/lib/cni/inroad",
  });
  assert.deepEqual(readSettings(document), { podCIDRs: ["10.244.0.0/24"], mtu: 1450, dns: {} });
});

test("the example is a configuration of both families", () => {
  const example = JSON.parse(readFileSync("examples/cni/10-inroad.conflist", "utf8"));
  const [plugin] = example.plugins;
  assert.deepEqual(readSettings(plugin).podCIDRs, ["10.244.0.0/24", "fd00:10:244::/64"]);
  assert.deepEqual(example.cniVersions, supportedVersions);
});

test("ranges give one network for each family, the primary one first", () => {
  const ranges = [[{ subnet: "fd00:10:244::/64" }], [{ subnet: "10.244.0.9/24" }]];
  assert.deepEqual(readSettings(withIpam({ ranges })).podCIDRs, ["fd00:10:244::/64", "10.244.0.0/24"]);
});

test("a version that is not known, or that does not have the command yet, is incompatible", () => {
  for (const cniVersion of supportedVersions)
    assert.equal(readNetwork({ ...document, cniVersion }, "DEL").cniVersion, cniVersion);
  for (const cniVersion of [undefined, "0.2.0", "1.2.0", 1])
    assert.throws(() => readNetwork({ ...document, cniVersion }, "ADD"), { kind: "incompatibleVersion" });
  assert.throws(() => readNetwork({ ...document, cniVersion: "0.3.1" }, "CHECK"), {
    kind: "incompatibleVersion",
  });
  assert.throws(() => readNetwork({ ...document, cniVersion: "1.0.0" }, "GC"), {
    kind: "incompatibleVersion",
  });
});

test("what would be ignored is refused with key and value", () => {
  const cases: readonly [object, RegExp][] = [
    [withIpam({ type: "dhcp" }), /ipam\.type: "dhcp"/],
    [withIpam({ routes: [{ dst: "0.0.0.0/0" }] }), /ipam\.routes: \[\{"dst"/],
    [
      withIpam({ ranges: [[{ subnet: "10.0.0.0/24", rangeStart: "10.0.0.9" }]] }),
      /rangeStart: "10\.0\.0\.9"/,
    ],
    [{ ...document, ipMasq: true }, /ipMasq: true/],
    [{ ...document, bridge: "cni0" }, /bridge: "cni0"/],
    [{ ...document, capabilities: { portMappings: true } }, /capabilities\.portMappings: true/],
    [{ ...document, runtimeConfig: { mac: "02:00:00:00:00:01" } }, /runtimeConfig\.mac/],
    [{ ...document, args: { cni: { ips: ["10.0.0.9"] } } }, /args\.cni/],
  ];
  for (const [given, message] of cases)
    assert.throws(() => readSettings({ ...given }), { kind: "unsupportedField", message });
  assert.doesNotThrow(() =>
    readSettings({ ...document, ipMasq: false, capabilities: { portMappings: false } }),
  );
});

test("what makes no sense is refused by the name of the field", () => {
  const cases: readonly [object, RegExp][] = [
    [{ ...document, ipam: undefined }, /invalid ipam: nothing/],
    [{ ...document, ipam: {} }, /ipam\.type: nothing/],
    [withIpam({ subnet: "10.244.0.0" }), /ipam\.subnet: "10\.244\.0\.0"/],
    [withIpam({ subnet: "10.244.0.0/31" }), /invalid ipam/],
    [withIpam({ ranges: [] }), /ipam\.ranges/],
    [withIpam({ ranges: [[{ subnet: "10.1.0.0/24" }], [{ subnet: "10.2.0.0/24" }]] }), /ipam\.ranges/],
    [withIpam({ subnet: "10.1.0.0/24", ranges: [] }), /ipam\.ranges/],
    [{ ...withIpam({ subnet: "fd00::/64" }), mtu: 1000 }, /mtu: 1000/],
    [{ ...withIpam({ subnet: "10.1.0.0/24" }), mtu: "1500" }, /mtu: "1500"/],
    [{ ...document, dns: { nameservers: "10.96.0.10" } }, /dns\.nameservers/],
  ];
  for (const [given, message] of cases)
    assert.throws(() => readSettings({ ...given }), { kind: "badConfig", message });
  for (const name of ["", "../etc", "a/b", "x".repeat(201), 7])
    assert.throws(() => readNetwork({ ...document, name }, "ADD"), {
      kind: "badConfig",
      message: /invalid name/,
    });
  assert.throws(() => readNetwork(withIpam({ dataDir: "relative" }), "ADD"), { kind: "badConfig" });
});

test("a list of valid attachments that is not whole removes nothing", () => {
  const field = "cni.dev/valid-attachments";
  const good = { containerID: "c1", ifname: "eth0" };
  assert.deepEqual(readValidAttachments({ [field]: [good] }), [good]);
  for (const list of [undefined, {}, [good, {}], [good, null], [{ ...good, ifname: "" }]])
    assert.throws(() => readValidAttachments({ [field]: list }), { kind: "badConfig" });
});

test("whatever stands in the configuration, it is understood or refused as such", () => {
  const fields = [
    "cniVersion",
    "name",
    "ipam",
    "mtu",
    "dns",
    "prevResult",
    "runtimeConfig",
    "cni.dev/valid-attachments",
  ];
  const part = fc.tuple(fc.constantFrom(...fields), fc.jsonValue());
  const ipam = fc.dictionary(fc.constantFrom("subnet", "ranges", "dataDir"), fc.jsonValue());
  fc.assert(
    fc.property(fc.array(part, { maxLength: 4 }), ipam, (parts, inIpam) => {
      const text = JSON.stringify({ ...withIpam(inIpam), ...Object.fromEntries(parts) });
      for (const read of [
        readSettings,
        readPrevResult,
        readValidAttachments,
        (one: object) => readNetwork({ ...one }, "GC"),
      ]) {
        try {
          read(parseDocument(text));
        } catch (error) {
          assert.ok(error instanceof CniError, String(error));
        }
      }
    }),
  );
});

test("what is no JSON object is undecodable", () => {
  for (const text of ["", "{", "null", "[]", "7", '"x"', "\0"])
    assert.throws(() => parseDocument(text), { kind: "undecodable" });
});
