import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { test } from "node:test";

/** What is about the time of day: how long certificates and tokens are good, serial numbers of zones, times that others wrote. */
const timeOfDay = [
  "src/api/auth.ts",
  "src/lib/pki.ts",
  "src/path/1-load-balancer/public-dns.ts",
  "src/path/2-ingress/testing-certificate.ts",
  "src/path/3-service/apply.ts",
  "src/path/4-proxy/metrics.ts",
];

test("durations are measured by a steady clock: nothing else reads the one that somebody may set", () => {
  const sources = globSync("src/**/*.ts").filter((file) => !file.endsWith(".test.ts"));
  const readers = sources.filter((file) => /\bDate\.now\b/.test(readFileSync(file, "utf8")));
  assert.deepEqual(readers.sort(), timeOfDay);
});
