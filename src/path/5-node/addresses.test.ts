import { test } from "node:test";
import assert from "node:assert/strict";
import { createAddressPool } from "./addresses.ts";

test("addresses are given from .2 upwards", () => {
  const pool = createAddressPool("10.244.3.0/24");
  assert.deepEqual([pool.take(), pool.take(), pool.take()], ["10.244.3.2", "10.244.3.3", "10.244.3.4"]);
});

test("a released address is not given again at once, but after others were released", () => {
  const pool = createAddressPool("10.244.0.0/24");
  const first = pool.take();
  pool.release(first);
  assert.equal(pool.take(), "10.244.0.3");
  for (let count = 0; count < 16; count += 1) pool.release(pool.take());
  assert.equal(pool.take(), first);
});

test("when nothing else is free, the one that rested longest is given; then there is none", () => {
  const pool = createAddressPool("10.244.0.0/29");
  const all = [pool.take(), pool.take(), pool.take(), pool.take(), pool.take()];
  assert.deepEqual(
    all.map((address) => address.slice(9)),
    ["2", "3", "4", "5", "6"],
  );
  pool.release("10.244.0.5");
  pool.release("10.244.0.2");
  assert.equal(pool.take(), "10.244.0.5");
  assert.equal(pool.take(), "10.244.0.2");
  assert.throws(() => pool.take(), { code: "NoAddress" });
});

test("releasing twice or something foreign changes nothing", () => {
  const pool = createAddressPool("10.244.0.0/29");
  const address = pool.take();
  pool.release(address);
  pool.release(address);
  pool.release("192.0.2.1");
  assert.deepEqual([pool.take(), pool.take(), pool.take(), pool.take(), pool.take()].length, 5);
});
