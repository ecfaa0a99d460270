import assert from "node:assert/strict";
import { test } from "node:test";
import packet from "dns-packet";
import * as fc from "fast-check";
import { decodeMessage, DnsFormatError, encodeMessage, type Message, type ResourceRecord } from "#wire/dns";

const label = fc.oneof(
  fc.stringMatching(/^[a-zA-Z0-9_-]{1,20}$/),
  fc.stringMatching(/^[a-z]{60,63}$/),
  fc
    .array(fc.integer({ min: 0, max: 255 }), { minLength: 1, maxLength: 4 })
    .map((bytes) => bytes.map((byte) => `\\${String(byte).padStart(3, "0")}`).join("")),
);
const plainLabel = fc.stringMatching(/^[a-z0-9-]{1,12}$/);
const nameOf = (part: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.array(part, { maxLength: 3 }).map((labels) => (labels.length === 0 ? "." : `${labels.join(".")}.`));
const name = nameOf(label);
const uint16 = fc.integer({ min: 0, max: 0xffff });
const uint32 = fc.integer({ min: 0, max: 0xffffffff });
const ttl = fc.integer({ min: 0, max: 0x7fffffff });
const texts = fc.array(fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 255 }), {
  minLength: 1,
  maxLength: 3,
});

const data = fc.oneof(
  fc.record({ type: fc.constant("A" as const), address: fc.ipV4() }),
  fc.record({ type: fc.constantFrom("CNAME" as const, "NS" as const, "PTR" as const), target: name }),
  fc.record({ type: fc.constant("MX" as const), preference: uint16, exchange: name }),
  fc.record({
    type: fc.constant("SRV" as const),
    priority: uint16,
    weight: uint16,
    port: uint16,
    target: name,
  }),
  fc.record({
    type: fc.constant("TXT" as const),
    texts: texts.map((all) => all.map((bytes) => String.fromCharCode(...bytes))),
  }),
  fc.record({
    type: fc.constant("SOA" as const),
    primary: name,
    mailbox: name,
    serial: uint32,
    refresh: uint32,
    retry: uint32,
    expire: uint32,
    minimum: uint32,
  }),
  fc.record({ type: fc.constant("TYPE65" as const), data: fc.uint8Array({ maxLength: 100 }) }),
);
const record: fc.Arbitrary<ResourceRecord> = fc.tuple(name, ttl, data).map(([owner, seconds, rest]) => ({
  name: owner,
  ttl: seconds,
  ...rest,
}));
const records = fc.array(record, { maxLength: 6 });
const message: fc.Arbitrary<Message> = fc.record(
  {
    id: uint16,
    response: fc.boolean(),
    opcode: fc.integer({ min: 0, max: 15 }),
    authoritative: fc.boolean(),
    truncated: fc.boolean(),
    recursionDesired: fc.boolean(),
    recursionAvailable: fc.boolean(),
    authenticData: fc.boolean(),
    checkingDisabled: fc.boolean(),
    rcode: fc.integer({ min: 0, max: 15 }),
    questions: fc.array(
      fc.record({ name, type: fc.constantFrom("A", "SRV", "ANY", "TYPE65"), class: uint16 }),
      {
        maxLength: 2,
      },
    ),
    answers: records,
    authorities: records,
    additionals: records,
    edns: fc.record(
      { udpSize: uint16, version: fc.integer({ min: 0, max: 255 }), dnssecOk: fc.boolean() },
      { noNullPrototype: true },
    ),
  },
  {
    noNullPrototype: true,
    requiredKeys: [
      "id",
      "response",
      "opcode",
      "authoritative",
      "truncated",
      "recursionDesired",
      "recursionAvailable",
      "authenticData",
      "checkingDisabled",
      "rcode",
      "questions",
      "answers",
      "authorities",
      "additionals",
    ],
  },
);

test("a decoded message survives encoding and decoding", () => {
  fc.assert(
    fc.property(message, (value) => {
      const read = decodeMessage(encodeMessage(value));
      assert.deepEqual(decodeMessage(encodeMessage(read)), read);
      assert.deepEqual(
        { ...read, questions: [], answers: [], authorities: [], additionals: [] },
        {
          ...value,
          questions: [],
          answers: [],
          authorities: [],
          additionals: [],
        },
      );
      assert.equal(read.answers.length, value.answers.length);
    }),
    { numRuns: 300 },
  );
});

test("a message cut to a size is whole, never longer, and keeps a prefix of its answers", () => {
  fc.assert(
    fc.property(message, fc.integer({ min: 512, max: 1500 }), (value, size) => {
      const small = { ...value, questions: value.questions.slice(0, 1) };
      const read = decodeMessage(encodeMessage(small, size));
      const whole = decodeMessage(encodeMessage(small));
      assert.ok(encodeMessage(small, size).length <= size);
      assert.deepEqual(read.answers, whole.answers.slice(0, read.answers.length));
      const cut =
        read.answers.length < whole.answers.length || read.authorities.length < whole.authorities.length;
      assert.equal(read.truncated, value.truncated || cut);
    }),
    { numRuns: 300 },
  );
});

const mutated = fc
  .tuple(message, fc.array(fc.tuple(uint16, fc.integer({ min: 0, max: 255 })), { maxLength: 8 }))
  .map(([value, changes]) => {
    const bytes = encodeMessage(value);
    for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
    return bytes;
  });

test("whatever the bytes are, decoding gives a message or a DnsFormatError", () => {
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 600 }), mutated), (bytes) => {
      try {
        decodeMessage(bytes);
      } catch (error) {
        assert.ok(error instanceof DnsFormatError, String(error));
      }
    }),
    { numRuns: 1000 },
  );
});

test("another decoder agrees about names and addresses", () => {
  const plain = nameOf(plainLabel).filter((text) => text !== ".");
  const answer = fc.tuple(plain, fc.ipV4(), plain);
  fc.assert(
    fc.property(plain, fc.array(answer, { maxLength: 8 }), (question, answers) => {
      const bytes = encodeMessage({
        id: 1,
        response: true,
        opcode: 0,
        authoritative: true,
        truncated: false,
        recursionDesired: false,
        recursionAvailable: false,
        authenticData: false,
        checkingDisabled: false,
        rcode: 0,
        questions: [{ name: question, type: "A", class: 1 }],
        answers: answers.flatMap(([owner, address, target]): ResourceRecord[] => [
          { name: owner, ttl: 5, type: "A", address },
          { name: owner, ttl: 5, type: "CNAME", target },
        ]),
        authorities: [],
        additionals: [],
      });
      const read = packet.decode(Buffer.from(bytes));
      assert.deepEqual(
        [
          read.questions?.[0]?.name,
          ...(read.answers ?? []).flatMap((r) => ("data" in r ? [r.name, r.data] : [])),
        ],
        [
          question.slice(0, -1),
          ...answers.flatMap(([owner, address, target]) => {
            const text = owner.slice(0, -1);
            return [text, address, text, target.slice(0, -1)];
          }),
        ],
      );
    }),
    { numRuns: 200 },
  );
});
