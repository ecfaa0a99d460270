import assert from "node:assert/strict";
import { test } from "node:test";
import { run, runOrThrow } from "./run.ts";

test("what a program prints and its status are the result", async () => {
  const { code, stdout, stderr } = await run(undefined, "sh", ["-c", "cat; echo no >&2; exit 3"], "yes");
  assert.deepEqual([code, stdout, stderr], [3, "yes", "no\n"]);
});

test("a failure tells what the program said, or its status where it said nothing", async () => {
  const failing = (script: string) => runOrThrow(undefined, "sh", ["-c", script], { code: "Bad" });
  await assert.rejects(failing("echo busy >&2; exit 1"), { code: "Bad", message: /^sh failed: busy$/ });
  await assert.rejects(failing("exit 7"), { message: /^sh failed: exit status 7$/ });
  await assert.rejects(failing("kill -9 $$"), { message: /^sh failed: exit status 1\d\d$/ });
});

test("a program that hangs is killed, and the failure says so", async () => {
  const hanging = runOrThrow(undefined, "sleep", ["600"], { code: "Bad", withinMs: 100 });
  await assert.rejects(hanging, { code: "Bad", message: /did not end within 0\.1 s and was killed/ });
});

test("a program that is not there is named", async () => {
  await assert.rejects(run(undefined, "no-such-program", []), { code: "MissingProgram" });
});
