import { test } from "node:test";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { run } from "#kernel";

test("PID 1 reaps orphans, and Node's own children keep their exit status", async () => {
  const script = fileURLToPath(new URL("kernel-reaper-main.ts", import.meta.url));
  const node = [process.execPath, "--disable-warning=ExperimentalWarning", script];
  const result = await run(undefined, "unshare", [
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
    ...node,
  ]);
  assert.equal(result.stderr, "");
  assert.deepEqual(JSON.parse(result.stdout), { seen: true, left: 0, codes: [7, 7, 7] });
});
