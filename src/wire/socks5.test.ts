import assert from "node:assert/strict";
import { test } from "node:test";
import { assert as check, integer, property, uint8Array } from "fast-check";
import {
  longestSocksMessage,
  readSocksGreeting,
  readSocksRequest,
  socksAnswer,
  socksMethod,
  socksReplies,
} from "./socks5.ts";

const byName = (name: string, port: number): Uint8Array =>
  Uint8Array.of(5, 1, 0, 3, name.length, ...Buffer.from(name), port >> 8, port & 255);

test("a greeting offers methods, and no authentication is taken", () => {
  const greeting = readSocksGreeting(Uint8Array.of(5, 2, 0, 2, 99));
  assert.deepEqual(greeting, { kind: "message", length: 4, value: [0, 2] });
  assert.deepEqual(socksMethod([0, 2]), Uint8Array.of(5, 0));
  assert.deepEqual(socksMethod([2]), Uint8Array.of(5, 255));
});

test("a request names its destination by name or by IPv4 address", () => {
  const named = readSocksRequest(byName("api-service", 80));
  assert.deepEqual(named, { kind: "message", length: 18, value: { host: "api-service", port: 80 } });
  const numeric = readSocksRequest(Uint8Array.of(5, 1, 0, 1, 10, 96, 0, 1, 1, 187, 22));
  assert.deepEqual(numeric, { kind: "message", length: 10, value: { host: "10.96.0.1", port: 443 } });
});

test("what is not there yet is waited for, byte by byte", () => {
  for (const whole of [byName("a.b", 53), Uint8Array.of(5, 1, 0, 1, 10, 96, 0, 1, 1, 187)]) {
    for (let length = 0; length < whole.length; length += 1)
      assert.deepEqual(readSocksRequest(whole.subarray(0, length)), { kind: "more" });
    assert.equal(readSocksRequest(whole).kind, "message");
  }
  for (const length of [0, 1, 2]) {
    assert.deepEqual(readSocksGreeting(Uint8Array.of(5, 1, 0).subarray(0, length)), { kind: "more" });
  }
});

const refused: readonly (readonly [string, Uint8Array, number])[] = [
  ["SOCKS 4", Uint8Array.of(4, 1, 0, 80, 0, 0), socksReplies.failure],
  ["BIND", Uint8Array.of(5, 2, 0, 1, 10, 0, 0, 1, 0, 80), socksReplies.commandNotSupported],
  ["UDP ASSOCIATE", Uint8Array.of(5, 3), socksReplies.commandNotSupported],
  ["an IPv6 address", Uint8Array.of(5, 1, 0, 4, 0), socksReplies.addressNotSupported],
  ["port 0", byName("a", 0), socksReplies.failure],
  ["an empty name", byName("", 80), socksReplies.failure],
  ["a name with a line break", byName("a\r\nb", 80), socksReplies.failure],
  ["a name that begins with a dash", byName("-v", 80), socksReplies.failure],
];

for (const [what, bytes, reply] of refused) {
  test(`${what} is refused`, () => {
    assert.deepEqual(readSocksRequest(bytes), { kind: "bad", reply });
  });
}

test("an answer has the form of RFC 1928 section 6", () => {
  assert.deepEqual(socksAnswer(socksReplies.refused), Uint8Array.of(5, 5, 0, 1, 0, 0, 0, 0, 0, 0));
});

test("no bytes make it throw, read beyond them, or wait for more than the longest message", () => {
  check(
    property(uint8Array({ maxLength: 300 }), integer({ min: 0, max: 5 }), (bytes, version) => {
      const given = Uint8Array.of(version, ...bytes);
      for (const result of [readSocksGreeting(given), readSocksRequest(given)]) {
        if (result.kind === "message") assert.ok(result.length <= given.length);
        if (result.kind === "more") assert.ok(given.length < longestSocksMessage);
      }
    }),
  );
});
