import assert from "node:assert/strict";
import { test } from "node:test";
import { assert as check, constantFrom, integer, nat, property, tuple } from "fast-check";
import { ipv4ToNumber, numberToIPv4, parseCidr } from "#lib/ip";
import {
  imageEnd,
  imageOf,
  imagePort,
  layOut,
  listenAddress,
  mostClusters,
  originEnd,
  originOf,
  spareImage,
} from "./loopback.ts";
import type { LoopbackMap } from "./loopback.ts";
import { createPortTable, setPort } from "./port-table.ts";

const cidrs = ["10.96.0.0/16", "10.244.0.0/16", "172.30.0.0/24", "203.0.113.0/24"];
const map: LoopbackMap = { networks: layOut(0, cidrs), moved: true };

test("Services, pods, nodes and the world outside have images side by side", () => {
  assert.equal(imageOf(map, "10.96.1.2"), "127.4.1.2");
  assert.equal(imageOf(map, "10.244.1.2"), "127.5.1.2");
  assert.equal(imageOf(map, "172.30.0.11"), "127.6.0.11");
  assert.equal(imageOf(map, "203.0.113.128"), "127.6.1.128");
});

test("every other address is itself", () => {
  for (const address of ["192.0.2.1", "127.0.0.1", "10.97.0.1", "::1", ""]) {
    assert.equal(imageOf(map, address), undefined);
    assert.deepEqual(imageEnd(map, address, 80), { address, port: 80, own: false });
  }
});

test("an image leads back to its address, and no two addresses of any two clusters share one", () => {
  const address = constantFrom(...cidrs).chain((cidr) => {
    const { base, size } = parseCidr(cidr);
    return nat(size - 1).map((within) => numberToIPv4(base + within));
  });
  const index = nat(mostClusters - 1);
  check(
    property(tuple(address, index), tuple(address, index), ([a, i], [b, j]) => {
      const [one, other] = [{ networks: layOut(i, cidrs) }, { networks: layOut(j, cidrs) }];
      const image = imageOf(one, a) ?? "";
      assert.equal(originOf(one, image), a);
      assert.equal(image === imageOf(other, b), a === b && i === j);
      assert.notEqual(image, spareImage(other));
    }),
  );
});

test("no image of any cluster is an address that hosts use themselves", () => {
  for (let index = 0; index < mostClusters; index += 1) {
    for (const { image, size } of layOut(index, cidrs)) {
      assert.ok(image >= ipv4ToNumber("127.4.0.0"));
      assert.ok(image + size <= ipv4ToNumber("127.253.0.0"));
    }
  }
});

test("networks that have no room are refused, with what to do", () => {
  assert.throws(() => layOut(0, ["10.0.0.0/8"]), { code: "NoRoom", exitStatus: 2 });
  assert.throws(() => layOut(0, ["10.0.0.0/15", "10.96.0.0/16"]), { code: "NoRoom" });
});

test("an address that is no image is itself", () => {
  check(
    property(integer({ min: 0, max: 0xffffffff }), (value) => {
      const address = numberToIPv4(value);
      const origin = originOf(map, address);
      assert.ok(origin === address || imageOf(map, origin) === address);
    }),
  );
});

test("ports below 1024 are moved where they are not permitted, and found again", () => {
  assert.equal(imagePort(map, 80), 64_592);
  assert.equal(imagePort({ moved: false }, 80), 80);
  assert.equal(imagePort(map, 8080), 8080);
  assert.equal(imagePort(map, 0), 0);
  assert.deepEqual(originEnd(map, { address: "127.4.1.2", port: 64_592 }), {
    address: "10.96.1.2",
    port: 80,
  });
  const elsewhere = { address: "127.0.0.1", port: 64_592 };
  assert.deepEqual(originEnd(map, elsewhere), elsewhere);
});

test("a port that is listened on elsewhere is reached there, and keeps its name", () => {
  const ports = { TCP: createPortTable(), UDP: createPortTable() };
  const told = { ...map, ports };
  setPort(ports.TCP, "10.244.0.5", 80, 40_000);
  assert.deepEqual(imageEnd(told, "10.244.0.5", 80), { address: "127.5.0.5", port: 40_000, own: true });
  assert.equal(imageEnd(told, "10.244.0.5", 80, "UDP").port, 64_592);
  assert.equal(imageEnd(told, "10.244.0.6", 80).port, 64_592);
  assert.deepEqual(originEnd(told, { address: "127.5.0.5", port: 40_000 }), {
    address: "10.244.0.5",
    port: 80,
  });
});

test("all addresses of a place are its own one; addresses of nobody cannot be listened on", () => {
  const place = { name: "pod", address: "10.244.0.5", map };
  for (const all of ["0.0.0.0", "127.0.0.1"]) assert.equal(listenAddress(place, all), "10.244.0.5");
  assert.equal(listenAddress(place, "172.30.0.1"), "172.30.0.1");
  assert.throws(() => listenAddress(place, "192.0.2.1"), { code: "EADDRNOTAVAIL" });
});
