import { test } from "node:test";
import assert from "node:assert/strict";
import { createContainerLog, selectLog } from "./logs.ts";

const texts = (log: ReturnType<typeof createContainerLog>): string[] => log.lines().map(({ text }) => text);

test("output becomes lines, however it is cut", () => {
  const log = createContainerLog();
  log.write("one\ntw");
  log.write("o\n\nthr");
  assert.deepEqual(texts(log), ["one", "two", ""]);
});

test("the oldest lines go when the limit is reached, the newest stays even if it alone is larger", () => {
  const log = createContainerLog(10);
  for (const line of ["aaaa", "bbbb", "cccc"]) log.line(line);
  assert.deepEqual(texts(log), ["bbbb", "cccc"]);
  log.line("x".repeat(50));
  assert.equal(texts(log).length, 1);
});

test("a line without end is cut, so that memory is bounded", () => {
  const log = createContainerLog();
  log.write("x".repeat(40_000));
  assert.deepEqual(
    texts(log).map(({ length }) => length),
    [16_384, 16_384],
  );
});

test("followers see later lines until they stop", () => {
  const log = createContainerLog();
  const seen: string[] = [];
  log.line("before");
  const stop = log.follow(({ text }) => seen.push(text));
  log.line("during");
  stop();
  log.line("after");
  assert.deepEqual(seen, ["during"]);
});

const lines = [
  { time: "2030-01-01T00:00:00.000Z", text: "old" },
  { time: "2030-01-01T00:00:50.000Z", text: "new" },
];
const now = new Date("2030-01-01T00:01:00.000Z");
const cases: readonly [what: string, options: Parameters<typeof selectLog>[1], text: string][] = [
  ["everything", {}, "old\nnew\n"],
  ["the last line", { tailLines: 1 }, "new\n"],
  ["no line", { tailLines: 0 }, ""],
  ["more lines than there are", { tailLines: 9 }, "old\nnew\n"],
  ["what is not older than 30 s", { sinceSeconds: 30 }, "new\n"],
  ["so many bytes", { limitBytes: 5 }, "old\nn"],
  ["with times", { tailLines: 1, timestamps: true }, "2030-01-01T00:00:50.000Z new\n"],
];
for (const [what, options, text] of cases) {
  test(`asked for ${what}`, () => assert.equal(selectLog(lines, options, now), text));
}

test("followers hear every later line and the end; the last line may lack its newline", () => {
  const log = createContainerLog();
  log.line("before");
  const heard: string[] = [];
  log.follow(
    ({ text }) => heard.push(text),
    () => heard.push("END"),
  );
  const stop = log.follow(({ text }) => heard.push(`stopped ${text}`));
  stop();
  log.write("one\nlast words");
  log.end();
  assert.deepEqual(heard, ["one", "last words", "END"]);
  assert.deepEqual(texts(log), ["before", "one", "last words"]);
  log.follow(
    () => undefined,
    () => heard.push("late END"),
  );
  assert.equal(heard.at(-1), "late END");
});
