import assert from "node:assert/strict";
import { test } from "node:test";
import { array, assert as check, asyncProperty, nat, string } from "fast-check";
import { splitLines } from "./lines.ts";

async function* chunks(parts: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts;
}

async function linesOf(parts: readonly (string | Uint8Array)[], limit?: number): Promise<string[]> {
  const bytes = parts.map((part) => (typeof part === "string" ? new TextEncoder().encode(part) : part));
  return Array.fromAsync(splitLines(chunks(bytes), limit));
}

const table: readonly { what: string; parts: readonly string[]; lines: readonly string[] }[] = [
  { what: "one line in one chunk", parts: ["a\n"], lines: ["a"] },
  { what: "two lines in one chunk", parts: ["a\nb\n"], lines: ["a", "b"] },
  { what: "a line over three chunks", parts: ["a", "b", "c\n"], lines: ["abc"] },
  { what: "a line end in a chunk of its own", parts: ["a", "\n", "b\n"], lines: ["a", "b"] },
  { what: "a last line without end", parts: ["a\nb"], lines: ["a", "b"] },
  { what: "CRLF and empty lines", parts: ["a\r\n\n\r\nb\n"], lines: ["a", "b"] },
  { what: "nothing", parts: [], lines: [] },
];

for (const { what, parts, lines } of table) {
  test(`lines: ${what}`, async () => assert.deepEqual(await linesOf(parts), lines));
}

test("lines are the same wherever the bytes are cut, also inside a character", async () => {
  await check(
    asyncProperty(array(string({ unit: "grapheme" })), array(nat(200)), async (words, cuts) => {
      const lines = words.map((word) => word.replaceAll(/[\r\n\uFEFF]/g, "")).filter((word) => word !== "");
      const bytes = new TextEncoder().encode(lines.map((line) => `${line}\n`).join(""));
      const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].toSorted(
        (a, b) => a - b,
      );
      const parts = places.slice(1).map((end, index) => bytes.subarray(places[index], end));
      assert.deepEqual(await linesOf(parts), lines);
    }),
    { numRuns: 200 },
  );
});

test("a line longer than the limit is refused before it is whole", async () => {
  await assert.rejects(linesOf(["12345", "678901"], 10), { code: "LineTooLong" });
  assert.deepEqual(await linesOf(["12345", "67890\n1"], 10), ["1234567890", "1"]);
});
