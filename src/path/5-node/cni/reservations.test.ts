import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { freePlaces } from "./places.ts";
import { openReservations } from "./reservations.ts";

const attachment = (containerID: string) => ({ containerID, ifname: "eth0" });
const dual = ["10.244.0.0/29", "fd00:10:244::/64"];

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "inroad-reservations-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

test("both families get the same place, and the smaller network is the limit", () => {
  const all = [...freePlaces(dual, new Set(), 0)].map(({ addresses }) => addresses.join(" "));
  assert.deepEqual(
    [all[0], all.at(-1), all.length],
    ["10.244.0.2 fd00:10:244::2", "10.244.0.6 fd00:10:244::6", 5],
  );
  const others = freePlaces(dual, new Set(["10.244.0.2", "fd00:10:244::3"]), 0);
  assert.deepEqual(others.next().value?.addresses, ["10.244.0.4", "fd00:10:244::4"]);
});

test("an address that was given up comes last, also for those who ask later", (t) => {
  const folder = folderOf(t);
  const take = (id: string) => openReservations(folder, "pods").reserve(attachment(id), dual);
  const first = take("a");
  assert.ok(first);
  openReservations(folder, "pods").release(first);
  assert.deepEqual(
    ["b", "c", "d", "e", "f", "g"].map((id) => take(id)?.file),
    ["10.244.0.3", "10.244.0.4", "10.244.0.5", "10.244.0.6", "10.244.0.2", undefined],
  );
  assert.equal(openReservations(folder, "pods").hasRoom(dual), false);
});

test("a reservation is found by its attachment, and only in its network", (t) => {
  const folder = folderOf(t);
  const made = openReservations(folder, "pods").reserve(attachment("a"), dual);
  assert.deepEqual(openReservations(folder, "pods").find(attachment("a")), made);
  assert.deepEqual(openReservations(folder, "other").list(), []);
  const file = readFileSync(join(folder, "pods", "10.244.0.2"), "utf8");
  assert.deepEqual(JSON.parse(file), { ...attachment("a"), addresses: ["10.244.0.2", "fd00:10:244::2"] });
});

test("what a killed call left takes no address, and a damaged reservation keeps its own", (t) => {
  const folder = folderOf(t);
  mkdirSync(join(folder, "pods"));
  writeFileSync(join(folder, "pods", ".new-killed"), '{"containerID"');
  writeFileSync(join(folder, "pods", "10.244.0.2"), "");
  const reservations = openReservations(folder, "pods");
  assert.equal(reservations.reserve(attachment("a"), dual)?.file, "10.244.0.3");
  assert.deepEqual(reservations.list()[0], {
    file: "10.244.0.2",
    attachment: undefined,
    addresses: ["10.244.0.2"],
  });
  reservations.tidy();
  assert.deepEqual(readdirSync(join(folder, "pods")).toSorted(), [".previous", "10.244.0.2", "10.244.0.3"]);
});

test("networks in another order than before do not give an address twice", (t) => {
  const reservations = openReservations(folderOf(t), "pods");
  reservations.reserve(attachment("a"), dual);
  const other = reservations.reserve(attachment("b"), dual.toReversed());
  assert.deepEqual(other?.addresses, ["fd00:10:244::3", "10.244.0.3"]);
});
