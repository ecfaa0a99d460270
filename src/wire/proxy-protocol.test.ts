import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeProxyHeader, readProxyHeader, type ProxiedConnection } from "./proxy-protocol.ts";

const four: ProxiedConnection = {
  source: { address: "203.0.113.10", port: 56_324 },
  destination: { address: "203.0.113.128", port: 443 },
};
const six: ProxiedConnection = {
  source: { address: "2001:db8::10", port: 1 },
  destination: { address: "2001:db8::80", port: 65_535 },
};
const signature = "0d0a0d0a000d0a515549540a";
const bytesOf = (hex: string): Buffer => Buffer.from(hex.replaceAll(" ", ""), "hex");

test("version 1 is a line", () => {
  const line = Buffer.from(encodeProxyHeader("v1", four)).toString();
  assert.equal(line, "PROXY TCP4 203.0.113.10 203.0.113.128 56324 443\r\n");
  assert.match(Buffer.from(encodeProxyHeader("v1", six)).toString(), /^PROXY TCP6 2001:db8::10 /);
});

test("version 2 is a signature, a command, and addresses", () => {
  const bytes = Buffer.from(encodeProxyHeader("v2", four));
  assert.deepEqual(bytes, bytesOf(`${signature} 21 11 000c cb00710a cb007180 dc04 01bb`));
  assert.equal(encodeProxyHeader("v2", six).length, 52);
});

test("what is written is read back, byte by byte, and what follows is left", () => {
  for (const version of ["v1", "v2"] as const) {
    for (const connection of [four, six]) {
      const header = encodeProxyHeader(version, connection);
      for (let length = 0; length < header.length; length += 1) {
        assert.deepEqual(readProxyHeader(header.subarray(0, length)), { kind: "more" });
      }
      const read = readProxyHeader(Buffer.concat([header, Buffer.from("GET / HTTP/1.1\r\n")]));
      assert.deepEqual(read, { kind: "header", length: header.length, connection });
    }
  }
});

const withoutConnection: readonly (readonly [what: string, header: Buffer])[] = [
  ["UNKNOWN", Buffer.from("PROXY UNKNOWN\r\n")],
  ["UNKNOWN with addresses, which are ignored", Buffer.from("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n")],
  ["LOCAL", bytesOf(`${signature} 20 00 0000`)],
  ["a Unix socket", bytesOf(`${signature} 21 31 0002 6161`)],
  ["UDP", bytesOf(`${signature} 21 12 000c cb00710a cb007180 dc04 01bb`)],
];

for (const [what, header] of withoutConnection) {
  test(`${what} names no TCP connection: the socket's own ends count`, () => {
    assert.deepEqual(readProxyHeader(header), {
      kind: "header",
      length: header.length,
      connection: undefined,
    });
  });
}

test("further values of version 2 are passed over", () => {
  const header = bytesOf(`${signature} 21 11 0013 cb00710a cb007180 dc04 01bb 04 0004 00000000`);
  assert.deepEqual(readProxyHeader(header), { kind: "header", length: header.length, connection: four });
});

const bad: readonly (readonly [what: string, bytes: Buffer, reason: RegExp])[] = [
  ["HTTP", Buffer.from("GET / HTTP/1.1\r\n"), /no PROXY header/],
  ["a line without an end", Buffer.from(`PROXY TCP4 ${"1".repeat(120)}`), /more than 107/],
  ["a line with a name", Buffer.from("PROXY TCP4 localhost 1.2.3.4 1 2\r\n"), /no TCP connection/],
  ["a line of the other family", Buffer.from("PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n"), /no TCP connection/],
  ["a port of 65536", Buffer.from("PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n"), /no TCP connection/],
  ["a port with a sign", Buffer.from("PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n"), /no TCP connection/],
  ["a line with more", Buffer.from("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n"), /more words/],
  ["version 3", bytesOf(`${signature} 31 11 000c`), /version or command 0x31/],
  ["command 2", bytesOf(`${signature} 22 11 000c`), /version or command 0x22/],
  ["too few bytes for its addresses", bytesOf(`${signature} 21 21 000c`), /too short/],
  ["65535 bytes", bytesOf(`${signature} 21 11 ffff`), /more than 4096/],
];

for (const [what, bytes, reason] of bad) {
  test(`${what} is refused`, () => {
    const read = readProxyHeader(bytes);
    assert.match(read.kind === "bad" ? read.reason : read.kind, reason);
  });
}
