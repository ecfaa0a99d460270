import assert from "node:assert/strict";
import { test } from "node:test";
import packet from "dns-packet";
import {
  addressOfReverseName,
  decodeHeader,
  decodeMessage,
  DnsFormatError,
  encodeMessage,
  formatAnswer,
  formatRecord,
  isInZone,
  labelsOf,
  reverseName,
  type Message,
  type ResourceRecord,
} from "./dns.ts";

const api = "api-service.default.svc.cluster.local.";

const blank: Message = {
  id: 0x1234,
  response: true,
  opcode: 0,
  authoritative: true,
  truncated: false,
  recursionDesired: true,
  recursionAvailable: false,
  authenticData: false,
  checkingDisabled: false,
  rcode: 0,
  questions: [{ name: api, type: "A", class: 1 }],
  answers: [],
  authorities: [],
  additionals: [],
};

const a = (name: string, address: string): ResourceRecord => ({ name, ttl: 5, type: "A", address });

const everyKind: readonly ResourceRecord[] = [
  a(api, "10.96.1.1"),
  { name: api, ttl: 5, type: "AAAA", address: "fd00::1" },
  { name: "x.example.", ttl: 0, type: "CNAME", target: api },
  { name: "cluster.local.", ttl: 1, type: "NS", target: "ns.dns.cluster.local." },
  { name: "1.1.96.10.in-addr.arpa.", ttl: 5, type: "PTR", target: api },
  { name: "example.", ttl: 300, type: "MX", preference: 10, exchange: "mail.example." },
  { name: `_http._tcp.${api}`, ttl: 5, type: "SRV", priority: 0, weight: 100, port: 80, target: api },
  { name: "dns-version.cluster.local.", ttl: 28800, type: "TXT", texts: ["1.1.0", 'a "b"\u00ff'] },
  {
    name: "cluster.local.",
    ttl: 5,
    type: "SOA",
    primary: "ns.dns.cluster.local.",
    mailbox: "hostmaster.cluster.local.",
    serial: 4294967295,
    refresh: 7200,
    retry: 1800,
    expire: 86400,
    minimum: 5,
  },
  { name: ".", ttl: 7, class: 3, type: "TYPE65", data: Uint8Array.of(0, 1, 255) },
];

test("every kind of record survives encoding and decoding", () => {
  const message: Message = { ...blank, answers: everyKind, authorities: everyKind, additionals: everyKind };
  assert.deepEqual(decodeMessage(encodeMessage(message)), message);
});

test("records read as lines of a zone file", () => {
  assert.deepEqual(everyKind.map(formatRecord), [
    "api-service.default.svc.cluster.local. 5 IN A 10.96.1.1",
    "api-service.default.svc.cluster.local. 5 IN AAAA fd00::1",
    "x.example. 0 IN CNAME api-service.default.svc.cluster.local.",
    "cluster.local. 1 IN NS ns.dns.cluster.local.",
    "1.1.96.10.in-addr.arpa. 5 IN PTR api-service.default.svc.cluster.local.",
    "example. 300 IN MX 10 mail.example.",
    "_http._tcp.api-service.default.svc.cluster.local. 5 IN SRV 0 100 80 api-service.default.svc.cluster.local.",
    'dns-version.cluster.local. 28800 IN TXT "1.1.0" "a \\"b\\"\\255"',
    "cluster.local. 5 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 4294967295 7200 1800 86400 5",
    ". 7 CLASS3 TYPE65 \\# 3 0001ff",
  ]);
  assert.deepEqual(formatAnswer({ ...blank, rcode: 3, truncated: true, authorities: [a("x.", "1.2.3.4")] }), [
    "NXDOMAIN aa tc",
    "x. 5 IN A 1.2.3.4",
  ]);
});

test("another decoder reads what we write", () => {
  const bytes = encodeMessage({
    ...blank,
    answers: everyKind.slice(0, 7),
    edns: { udpSize: 1232, version: 0, dnssecOk: true },
  });
  const read = packet.decode(Buffer.from(bytes));
  assert.equal(read.id, 0x1234);
  assert.equal(read.flag_aa, true);
  assert.deepEqual(
    read.answers?.map((answer) => ("data" in answer ? answer.data : undefined)),
    [
      "10.96.1.1",
      "fd00::1",
      "api-service.default.svc.cluster.local",
      "ns.dns.cluster.local",
      "api-service.default.svc.cluster.local",
      { preference: 10, exchange: "mail.example" },
      { priority: 0, weight: 100, port: 80, target: "api-service.default.svc.cluster.local" },
    ],
  );
  const opt = read.additionals?.[0];
  assert.ok(opt?.type === "OPT");
  assert.deepEqual([opt.udpPayloadSize, opt.flag_do], [1232, true]);
});

test("we read what another encoder writes", () => {
  const bytes = packet.encode({
    id: 7,
    type: "response",
    flags: packet.AUTHORITATIVE_ANSWER | packet.RECURSION_DESIRED,
    questions: [{ name: "Api.Example", type: "SRV" }],
    answers: [
      {
        name: "Api.Example",
        type: "SRV",
        ttl: 5,
        data: { priority: 1, weight: 2, port: 80, target: "t.example" },
      },
      { name: "t.example", type: "TXT", ttl: 5, data: ["one", "two"] },
    ],
    additionals: [
      {
        name: ".",
        type: "OPT",
        udpPayloadSize: 4096,
        ednsVersion: 0,
        flags: 0,
        extendedRcode: 0,
        flag_do: false,
        options: [],
      },
    ],
  });
  const message = decodeMessage(bytes);
  assert.deepEqual(message.questions, [{ name: "Api.Example.", type: "SRV", class: 1 }]);
  assert.deepEqual(message.answers.map(formatRecord), [
    "Api.Example. 5 IN SRV 1 2 80 t.example.",
    't.example. 5 IN TXT "one" "two"',
  ]);
  assert.deepEqual(message.edns, { udpSize: 4096, version: 0, dnssecOk: false });
});

test("the question keeps its case, and an answer of the same name is a pointer to it", () => {
  const name = "API-Service.Default.svc.cluster.local.";
  const bytes = encodeMessage({
    ...blank,
    questions: [{ name, type: "A", class: 1 }],
    answers: [a(name, "10.96.1.1")],
  });
  assert.equal(decodeMessage(bytes).answers[0]?.name, name);
  assert.equal(bytes.length, 12 + (name.length + 1) + 4 + 16);
});

test("answers beyond the size are left out and TC is set", () => {
  const answers = Array.from({ length: 100 }, (_, i) => a(api, `10.244.0.${i}`));
  for (const [size, edns, count] of [
    [512, undefined, 28],
    [1232, { udpSize: 1232, version: 0, dnssecOk: false }, 72],
    [100, undefined, 28],
  ] as const) {
    const bytes = encodeMessage({ ...blank, answers, ...(edns === undefined ? {} : { edns }) }, size);
    const read = decodeMessage(bytes);
    assert.ok(bytes.length <= Math.max(size, 512));
    assert.deepEqual([read.truncated, read.answers.length, read.edns], [true, count, edns]);
  }
  const whole = decodeMessage(encodeMessage({ ...blank, answers }, 65535));
  assert.deepEqual([whole.truncated, whole.answers.length], [false, 100]);
});

test("additionals that do not fit are left out without TC", () => {
  const additionals = Array.from({ length: 100 }, (_, i) => a(api, `10.244.0.${i}`));
  const read = decodeMessage(encodeMessage({ ...blank, answers: [a(api, "1.2.3.4")], additionals }, 512));
  assert.deepEqual([read.truncated, read.answers.length, read.additionals.length], [false, 1, 27]);
});

test("more than 64 kB of answers do not overflow a TCP message", () => {
  const answers = Array.from({ length: 300 }, (): ResourceRecord => ({
    name: api,
    ttl: 5,
    type: "TXT",
    texts: ["x".repeat(255)],
  }));
  const read = decodeMessage(encodeMessage({ ...blank, answers }));
  assert.equal(read.truncated, true);
  assert.ok(read.answers.length > 200);
});

test("an extended response code needs both halves", () => {
  const edns = { udpSize: 1232, version: 0, dnssecOk: false };
  assert.equal(decodeMessage(encodeMessage({ ...blank, rcode: 16, edns })).rcode, 16);
});

test("bytes in labels are escaped and come back the same", () => {
  for (const name of ["a\\.b.example.", "\\000\\255.", "sp\\032ace.", "back\\\\slash.", "\\097."]) {
    const read = decodeMessage(encodeMessage({ ...blank, questions: [{ name, type: "A", class: 1 }] }));
    assert.equal(read.questions[0]?.name, name === "\\097." ? "a." : name);
  }
});

const label63 = "a".repeat(63);

test("names that DNS cannot carry are refused when written", () => {
  const long = `${label63}.${label63}.${label63}.`;
  for (const name of [
    "",
    "relative",
    "a..b.",
    ".a.",
    `${label63}a.`,
    `${long}${label63}.`,
    "\\999.",
    "\u0100.",
    "a\\",
  ]) {
    const question = { name, type: "A", class: 1 };
    if (name === "") continue;
    assert.throws(() => encodeMessage({ ...blank, questions: [question] }), DnsFormatError, name);
  }
  const suffix = { name: `${long}b.`, type: "A", class: 1 };
  const question = { name: `${label63}.${long}b.`, type: "A", class: 1 };
  assert.throws(() => encodeMessage({ ...blank, questions: [suffix, question] }), DnsFormatError);
  encodeMessage({ ...blank, questions: [{ name: `${long}${"a".repeat(61)}.`, type: "A", class: 1 }] });
});

test("values that do not fit are refused when written", () => {
  for (const record of [
    a("x.", "10.0.0"),
    a("x.", "10.0.0.256"),
    a("x.", "1.2.3.4.5"),
    a("x.", "fd00::1"),
    { name: "x.", ttl: 5, type: "TXT", texts: ["x".repeat(256)] },
  ] satisfies ResourceRecord[]) {
    assert.throws(() => encodeMessage({ ...blank, answers: [record] }), DnsFormatError);
  }
});

/** A query header with these counts, then the given bytes. */
function raw(counts: readonly number[], ...body: number[]): Uint8Array {
  return Uint8Array.from([0, 1, 1, 0, ...counts.flatMap((count) => [count >> 8, count & 255]), ...body]);
}

test("broken messages are refused when read", () => {
  const broken: Record<string, Uint8Array> = {
    "no header": Uint8Array.of(1, 2, 3),
    "pointer to itself": raw([1, 0, 0, 0], 0xc0, 12, 0, 1, 0, 1),
    "pointer forwards": raw([1, 0, 0, 0], 0xc0, 14, 0, 0, 1, 0, 1),
    "two pointers in a circle": raw([1, 0, 0, 0], 1, 0x61, 0xc0, 12, 0, 1, 0, 1),
    "half a pointer": raw([1, 0, 0, 0], 0xc0),
    "undefined label type": raw([1, 0, 0, 0], 0x80, 0, 0, 1, 0, 1),
    "label past the end": raw([1, 0, 0, 0], 9, 0x61),
    "question without type": raw([1, 0, 0, 0], 0, 0),
    "65535 records that are not there": raw([0, 65535, 65535, 65535]),
    "data past the end": raw([0, 1, 0, 0], 0, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 10, 0),
    "A record of 5 bytes": raw([0, 1, 0, 0], 0, 0, 1, 0, 1, 0, 0, 0, 5, 0, 5, 10, 0, 0, 1, 9),
    "bytes after the end": raw([0, 0, 0, 0], 0),
    "two OPT records": raw([0, 0, 0, 2], 0, 0, 41, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 41, 4, 0, 0, 0, 0, 0, 0, 0),
    "OPT record with a name": raw([0, 0, 0, 1], 1, 0x61, 0, 0, 41, 4, 0, 0, 0, 0, 0, 0, 0),
    "name of 256 bytes": raw(
      [1, 0, 0, 0],
      ...Array.from({ length: 128 }, () => [1, 0x61]).flat(),
      0,
      0,
      1,
      0,
      1,
    ),
  };
  for (const [what, bytes] of Object.entries(broken)) {
    assert.throws(() => decodeMessage(bytes), DnsFormatError, what);
  }
});

test("the header of a broken message can still be read", () => {
  assert.equal(decodeHeader(Uint8Array.of(1)), undefined);
  assert.deepEqual(decodeHeader(raw([9, 0, 0, 0])), {
    id: 1,
    response: false,
    opcode: 0,
    recursionDesired: true,
  });
});

test("a TTL with the highest bit set counts as 0", () => {
  const bytes = raw([0, 1, 0, 0], 0, 0, 1, 0, 1, 0x80, 0, 0, 5, 0, 4, 10, 0, 0, 1);
  assert.equal(decodeMessage(bytes).answers[0]?.ttl, 0);
});

test("names: zones, labels, wildcards and reverse names", () => {
  assert.equal(isInZone("a.cluster.local.", "cluster.local."), true);
  assert.equal(isInZone("cluster.local.", "cluster.local."), true);
  assert.equal(isInZone("acluster.local.", "cluster.local."), false);
  assert.deepEqual(labelsOf("a.b."), ["a", "b"]);
  assert.deepEqual(labelsOf("."), []);
  assert.equal(reverseName("10.96.0.1"), "1.0.96.10.in-addr.arpa.");
  assert.equal(reverseName("fd00::1").length, 32 * 2 + "ip6.arpa.".length);
  for (const address of ["10.96.0.1", "fd00::1", "2001:db8::42"]) {
    assert.equal(addressOfReverseName(reverseName(address).toUpperCase()), address);
  }
  for (const name of [
    "0.96.10.in-addr.arpa.",
    "256.0.0.1.in-addr.arpa.",
    "x.0.0.1.in-addr.arpa.",
    "example.",
    ".",
  ]) {
    assert.equal(addressOfReverseName(name), undefined);
  }
});
