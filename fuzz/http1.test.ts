/** HTTP/1 parsing against random bytes: any split gives the same result, nothing throws, what is written is read back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { ChunkedDecoder, chunkStart, lastChunk } from "#wire/http1-chunked";
import { fieldName, fieldValue } from "#wire/http1-fields";
import { createRequestReader, type RequestHead } from "#wire/http1-request";
import { createResponseReader } from "#wire/http1-response";

const run = { numRuns: 100_000, interruptAfterTimeLimit: 1_500, markInterruptAsFailure: false };
const limits = { headBytes: 600, startLineBytes: 200, fields: 12 };

/** Cuts bytes at positions given as fractions. */
function split(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = cuts.map((cut) => Math.floor(cut * bytes.length)).sort((a, b) => a - b);
  return [0, ...at].map((from, i) => bytes.subarray(from, at[i] ?? bytes.length));
}

/** What a reader makes of the pieces, in a form that can be compared. */
function outcome(pieces: readonly Buffer[]): unknown {
  const reader = createRequestReader(limits);
  for (const [i, piece] of pieces.entries()) {
    const result = reader.push(piece);
    if (result === undefined) continue;
    if (result.kind === "refusal") return result;
    const rest = Buffer.concat([reader.rest, ...pieces.slice(i + 1)]).toString("latin1");
    return { ...summary(result), rest };
  }
  return "more";
}

function summary(head: RequestHead): object {
  const { bytes: _, fields, ...rest } = head;
  const lines = Array.from({ length: fields.count }, (_, i) => [fieldName(head, i), fieldValue(head, i)]);
  return { ...rest, lines };
}

/** Text made of pieces that matter to the parser, so that deep states are reached. */
const fragment = fc.constantFrom(
  ..."GET |POST |/|/a?b| HTTP/1.1|HTTP/1.0|\r\n|\n|\r| |\t|:|Host: a|Host: b|Content-Length: 5|Content-Length: 05".split(
    "|",
  ),
  ..."Transfer-Encoding: chunked|Transfer-Encoding:|Connection: close|Upgrade: websocket|X: y|hello|\0|\xff|;|0|\r\n\r\n".split(
    "|",
  ),
);
const likely = fc.array(fragment, { maxLength: 30 }).map((parts) => Buffer.from(parts.join(""), "latin1"));
const valid = fc.array(fragment, { maxLength: 6 }).map((parts) => {
  const text = `POST /x HTTP/1.1\r\nHost: a\r\n${parts.map((part) => `X: ${part.trim()}\r\n`).join("")}\r\nrest`;
  return Buffer.from(text, "latin1");
});
const anything = fc.uint8Array({ maxLength: 800 }).map((bytes) => Buffer.from(bytes));
const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 });

test("a request head gives the same result however its bytes are split", () => {
  fc.assert(
    fc.property(fc.oneof(likely, valid, anything), cuts, (bytes, at) => {
      const whole = outcome([bytes]);
      assert.deepEqual(outcome(split(bytes, at)), whole);
      assert.deepEqual(outcome(Array.from(bytes, (_, i) => bytes.subarray(i, i + 1))), whole);
    }),
    run,
  );
});

test("what passes as a request head has one Host and one framing", () => {
  fc.assert(
    fc.property(fc.oneof(likely, valid), (bytes) => {
      const head = createRequestReader(limits).push(bytes);
      if (head?.kind !== "request") return;
      const names = Array.from({ length: head.fields.count }, (_, i) => fieldName(head, i).toLowerCase());
      const count = (name: string): number => names.filter((each) => each === name).length;
      assert.ok(count("host") === 1 || (count("host") === 0 && head.minorVersion === 0));
      assert.ok(count("transfer-encoding") === 0 || count("content-length") === 0);
      assert.doesNotMatch(
        head.bytes.toString("latin1").split("\r\n\r\n")[0] ?? "",
        /(^|[^\r])\n|\r([^\n]|$)|\0/,
      );
    }),
    run,
  );
});

test("an answer's head never throws, whatever the bytes", () => {
  fc.assert(
    fc.property(fc.oneof(likely, anything), (bytes) => {
      createResponseReader(limits).push(Buffer.concat([Buffer.from("HTTP/1.1 "), bytes]));
    }),
    { ...run, interruptAfterTimeLimit: 500 },
  );
});

function decode(pieces: readonly Buffer[]): object {
  const decoder = new ChunkedDecoder();
  let data = "";
  let rest = "";
  for (const piece of pieces) {
    const used =
      decoder.done || decoder.refusal !== undefined
        ? 0
        : decoder.read(piece, 0, (slice) => (data += slice.toString("latin1")));
    rest += piece.toString("latin1", used);
  }
  const { done, refusal, trailers } = decoder;
  return { data, done, refusal, trailers, ...(done ? { rest } : {}) };
}

test("a chunked body gives the same result however its bytes are split", () => {
  const piece = fc.constantFrom(
    ..."5|a|0|\r\n|\n|;x=y|hello|hell|X: 1|\r\n\r\n|5\r\nhello\r\n|0\r\n\r\n| ".split("|"),
  );
  const bodies = fc.array(piece, { maxLength: 20 }).map((parts) => Buffer.from(parts.join("")));
  fc.assert(
    fc.property(fc.oneof(bodies, anything), cuts, (bytes, at) => {
      assert.deepEqual(decode(split(bytes, at)), decode([bytes]));
    }),
    run,
  );
});

test("what is encoded in chunks is decoded to the same bytes", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 100 }), { maxLength: 10 }),
      cuts,
      (chunks, at) => {
        const parts = chunks.flatMap((chunk) => [
          Buffer.from(chunkStart(chunk.length)),
          Buffer.from(chunk),
          Buffer.from("\r\n"),
        ]);
        const coded = Buffer.concat([...parts, Buffer.from(lastChunk("X-End: 1\r\n")), Buffer.from("next")]);
        const expected = { data: Buffer.concat(chunks).toString("latin1"), done: true, refusal: undefined };
        assert.deepEqual(decode(split(coded, at)), { ...expected, trailers: "X-End: 1\r\n", rest: "next" });
      },
    ),
    { ...run, interruptAfterTimeLimit: 700 },
  );
});
