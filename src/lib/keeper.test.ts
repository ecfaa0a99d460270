import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { type KeeperOptions, startKeeping } from "./keeper.ts";
import { silentLog } from "./log.ts";

interface Value {
  readonly n: number;
}

/** A source that is set by hand, and everything that was put: `1 anew`, `2`. */
function keep(t: TestContext, more: Partial<KeeperOptions<Value>> = {}) {
  let current: Value = { n: 1 };
  let listener: (value: Value) => void = () => undefined;
  const put: string[] = [];
  const warnings: string[] = [];
  const keeper = startKeeping<Value>({
    what: "rules",
    source: {
      current: () => current,
      subscribe(listen) {
        listener = listen;
        return () => (listener = () => undefined);
      },
    },
    put: async ({ n }, anew) => void put.push(anew ? `${n} anew` : `${n}`),
    intact: async () => true,
    log: { ...silentLog, warn: (message) => void warnings.push(message) },
    ...more,
  });
  t.after(() => keeper.close());
  const set = (n: number): Value => {
    current = { n };
    listener(current);
    return current;
  };
  return { keeper, put, warnings, set };
}

test("the first value is put anew, later ones as changes, several at once as the newest", async (t) => {
  const { keeper, put, set } = keep(t);
  await keeper.ready;
  const values = [2, 3, 4].map(set);
  await Promise.all(values.map((value) => keeper.programmed(value)));
  assert.deepEqual(put, ["1 anew", "4"]);
  assert.equal(keeper.waitingFor(), 0);
});

test("after a failure it is tried again, anew, and said", async (t) => {
  const failures = [new Error("killed")];
  const put: string[] = [];
  const { keeper, warnings, set } = keep(t, {
    put: async ({ n }, anew) => {
      put.push(anew ? `${n} anew` : `${n}`);
      const failure = n === 2 ? failures.shift() : undefined;
      if (failure !== undefined) throw failure;
    },
  });
  await keeper.ready;
  await keeper.programmed(set(2));
  assert.deepEqual(put, ["1 anew", "2", "2 anew"]);
  assert.deepEqual(warnings, ["rules not in force, trying again in 50 ms: killed"]);
});

test("what somebody took away is put back anew", async (t) => {
  const answers = [false];
  const { promise: back, resolve } = Promise.withResolvers<void>();
  const put: string[] = [];
  const { warnings } = keep(t, {
    intact: async () => answers.shift() ?? true,
    put: async ({ n }, anew) => {
      if (put.push(anew ? `${n} anew` : `${n}`) === 2) resolve();
    },
  });
  await back;
  assert.deepEqual(put, ["1 anew", "1 anew"]);
  assert.deepEqual(warnings, ["somebody deleted rules of ours: putting them back"]);
});

test("who waits for a condition is told when a value in force meets it, or at the end", async (t) => {
  const { keeper, set } = keep(t);
  const three = keeper.until(({ n }) => n === 3);
  const never = assert.rejects(
    keeper.until(({ n }) => n === 9),
    /closed/,
  );
  set(3);
  await three;
  await keeper.close();
  await never;
  await keeper.until(({ n }) => n === 3);
});

test("a refresh puts the same value once more", async (t) => {
  const { promise: again, resolve } = Promise.withResolvers<void>();
  const put: string[] = [];
  const { keeper } = keep(t, {
    put: async ({ n }, anew) => {
      if (put.push(anew ? `${n} anew` : `${n}`) === 2) resolve();
    },
  });
  await keeper.ready;
  keeper.refresh();
  await again;
  assert.deepEqual(put, ["1 anew", "1"]);
});
