import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseAuthority, routingHost } from "./http1-authority.ts";
import { createBodyReader } from "./http1-body.ts";
import { ChunkedDecoder, chunkStart, lastChunk } from "./http1-chunked.ts";
import { fieldName, fieldValue, type WithFields } from "./http1-fields.ts";
import { responseFraming } from "./http1-framing.ts";
import { defaultHeadLimits } from "./http1-head.ts";
import { createRequestReader, type RequestHead } from "./http1-request.ts";
import { createResponseReader, type ResponseHead } from "./http1-response.ts";

/** The head of a request, or the status that refuses it, or "more". Bytes as Latin-1. */
function read(text: string, limits = defaultHeadLimits): RequestHead | number | "more" {
  const result = createRequestReader(limits).push(Buffer.from(text, "latin1"));
  if (result === undefined) return "more";
  return result.kind === "refusal" ? result.status : result;
}

function accepted(text: string): RequestHead {
  const head = read(text);
  assert.ok(typeof head === "object", `${JSON.stringify(text)} gives ${JSON.stringify(head)}`);
  return head;
}

function answerOf(text: string): ResponseHead | "bad" | "more" {
  const result = createResponseReader(defaultHeadLimits).push(Buffer.from(text, "latin1"));
  if (result === undefined) return "more";
  return result.kind === "refusal" ? "bad" : result;
}

function fieldsOf(head: WithFields): [string, string][] {
  return Array.from({ length: head.fields.count }, (_, i) => [fieldName(head, i), fieldValue(head, i)]);
}

const h = "Host: a\r\n";

describe("request heads", () => {
  test("method, target, fields and the bytes behind are read", () => {
    const reader = createRequestReader(defaultHeadLimits);
    const head = reader.push(
      Buffer.from("GET /p/q?r=s HTTP/1.1\r\nHost: A.test:8080\r\nX-One:  1 \t\r\nX-Empty:\r\n\r\nrest"),
    );
    assert.ok(head?.kind === "request");
    const { method, target, path, authority, host, minorVersion, keepAlive } = head;
    assert.deepEqual(
      { method, target, path, authority, host, minorVersion, keepAlive },
      {
        method: "GET",
        target: "/p/q?r=s",
        path: "/p/q",
        authority: "A.test:8080",
        host: "a.test",
        minorVersion: 1,
        keepAlive: true,
      },
    );
    assert.deepEqual(fieldsOf(head), [
      ["Host", "A.test:8080"],
      ["X-One", "1"],
      ["X-Empty", ""],
    ]);
    assert.equal(reader.rest.toString(), "rest");
  });

  test("one reader reads head after head", () => {
    const reader = createRequestReader(defaultHeadLimits);
    const first = reader.push(Buffer.from(`GET /1 HTTP/1.1\r\n${h}X: 1\r\n\r\nGET /2 HTTP/1.1\r\n${h}\r\n`));
    assert.ok(first?.kind === "request" && first.target === "/1");
    const second = reader.push(reader.rest);
    assert.ok(second?.kind === "request" && second.target === "/2");
    assert.deepEqual(fieldsOf(second), [["Host", "a"]]);
  });

  for (const [line, target, authority] of [
    ["GET / HTTP/1.1", "/", "a"],
    ["GET /%2e%2E/..//x HTTP/1.1", "/%2e%2E/..//x", "a"],
    ["GET http://b.test HTTP/1.1", "/", "b.test"],
    ["GET HTTP://b.test:81/x HTTP/1.1", "/x", "b.test:81"],
    ["GET https://b.test?q HTTP/1.1", "/?q", "b.test"],
    ["OPTIONS http://b.test HTTP/1.1", "*", "b.test"],
    ["OPTIONS * HTTP/1.1", "*", "a"],
    ["M-SEARCH /x HTTP/1.1", "/x", "a"],
    ["GET /later HTTP/1.9", "/later", "a"],
  ] as const) {
    test(`${line} asks ${authority || "no host"} for ${target}`, () => {
      const head = accepted(`${line}\r\n${h}\r\n`);
      assert.deepEqual([head.target, head.authority], [target, authority]);
    });
  }

  for (const [version, field, keepAlive] of [
    ["HTTP/1.1", "", true],
    ["HTTP/1.1", "Connection: close\r\n", false],
    ["HTTP/1.1", "Connection: x, CLOSE\r\n", false],
    ["HTTP/1.0", "", false],
    ["HTTP/1.0", "Connection: Keep-Alive\r\n", true],
    ["HTTP/1.0", "Connection: keep-alive, close\r\n", false],
  ] as const) {
    test(`${version} ${field.trim() || "alone"} ${keepAlive ? "keeps" : "ends"} the connection`, () => {
      assert.equal(accepted(`GET / ${version}\r\n${h}${field}\r\n`).keepAlive, keepAlive);
    });
  }

  for (const [what, text, status] of [
    ["no method", " / HTTP/1.1\r\n", 400],
    ["a method that is no token", "G@T / HTTP/1.1\r\n", 400],
    ["HTTP/0.9", "GET /\r\n", 400],
    ["two spaces", "GET  / HTTP/1.1\r\n", 400],
    ["a tab", "GET\t/ HTTP/1.1\r\n", 400],
    ["a space at the end", "GET / HTTP/1.1 \r\n", 400],
    ["a space in the target", "GET /a b HTTP/1.1\r\n", 400],
    ["a fragment", "GET /a#b HTTP/1.1\r\n", 400],
    ["a raw byte above 127 in the target", "GET /\xe9 HTTP/1.1\r\n", 400],
    ["a relative target", "GET a HTTP/1.1\r\n", 400],
    ["* with GET", "GET * HTTP/1.1\r\n", 400],
    ["another scheme", "GET ftp://a/ HTTP/1.1\r\n", 400],
    ["user information", "GET http://u@a/ HTTP/1.1\r\n", 400],
    ["an empty authority", "GET http:///x HTTP/1.1\r\n", 400],
    ["another protocol", "GET / HTCPCP/1.0\r\n", 400],
    ["a lower-case version", "GET / http/1.1\r\n", 400],
    ["a long version", "GET / HTTP/1.10\r\n", 400],
    ["the preface of HTTP/2", "PRI * HTTP/2.0\r\n", 505],
    ["HTTP/3", "GET / HTTP/3.0\r\n", 505],
    ["a TLS hello", "\x16\x03\x01\x02\x00\x01", 400],
    ["an empty line too many", "\r\n\r\nGET / HTTP/1.1\r\n", 400],
    ["an empty line of LF", "\nGET / HTTP/1.1\r\n", 400],
  ] as const) {
    test(`a request line with ${what} is refused with ${status}`, () => {
      assert.equal(read(`${text}${text.startsWith("\x16") ? "" : `${h}\r\n`}`), status);
    });
  }

  test("one empty line before a request is ignored", () => {
    assert.equal(accepted(`\r\nGET /x HTTP/1.1\r\n${h}\r\n`).target, "/x");
  });

  for (const [what, fields, status] of [
    ["no Host", "", 400],
    ["two Hosts", `${h}${h}`, 400],
    ["two Hosts in different case", `${h}hOsT: b\r\n`, 400],
    ["a Host with a path", "Host: a/b\r\n", 400],
    ["a Host with user information", "Host: u@a\r\n", 400],
    ["a Host with a bad port", "Host: a:99999\r\n", 400],
    ["a Host with two ports", "Host: a:1:2\r\n", 400],
    ["a Host that is a list", "Host: a, b\r\n", 400],
    ["a bare LF", `${h}X: 1\nY: 2\r\n`, 400],
    ["a bare LF at the end", `${h}X: 1\n\n`, 400],
    ["a bare CR", `${h}X: 1\rY: 2\r\n`, 400],
    ["NUL in a value", `${h}X: a\0b\r\n`, 400],
    ["a control byte in a value", `${h}X: a\x0bb\r\n`, 400],
    ["a folded line", `${h}X: 1\r\n 2\r\n`, 400],
    ["a folded first line", ` X: 1\r\n${h}`, 400],
    ["a space before the colon", `${h}X : 1\r\n`, 400],
    ["a tab before the colon", `${h}X\t: 1\r\n`, 400],
    ["no name", `${h}: 1\r\n`, 400],
    ["no colon", `${h}X\r\n`, 400],
    ["a name that is no token", `${h}X(y): 1\r\n`, 400],
    ["a name above 127", `${h}X\xff: 1\r\n`, 400],
  ] as const) {
    test(`${what} is refused with ${status}`, () => {
      assert.equal(read(`GET / HTTP/1.1\r\n${fields}\r\n`), status);
    });
  }

  test("values may hold spaces, tabs and bytes above 127", () => {
    const head = accepted(`GET / HTTP/1.1\r\n${h}X: a \t b\xe9\r\n\r\n`);
    assert.equal(fieldValue(head, 1), "a \t b\xe9");
  });

  for (const [what, text, expected] of [
    ["an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", ""],
    ["no Host in HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", ""],
    ["a Host in capitals with a final dot", "GET / HTTP/1.1\r\nHost: API.Test.:443\r\n\r\n", "api.test"],
    ["an IPv6 Host", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "[::1]"],
  ] as const) {
    test(`${what} routes as ${JSON.stringify(expected)}`, () => {
      assert.equal(accepted(text).host, expected);
    });
  }

  const limits = { headBytes: 200, startLineBytes: 60, fields: 3 };
  for (const [what, text, expected] of [
    ["a start line at its limit", `GET /${"a".repeat(46)} HTTP/1.1\r\n${h}\r\n`, "head"],
    ["a start line above its limit", `GET /${"a".repeat(47)} HTTP/1.1\r\n${h}\r\n`, 414],
    ["a start line that never ends", "a".repeat(61), 414],
    ["as many fields as allowed", `GET / HTTP/1.1\r\n${h}A: 1\r\nB: 2\r\n\r\n`, "head"],
    ["one field more", `GET / HTTP/1.1\r\n${h}A: 1\r\nB: 2\r\nC: 3\r\n\r\n`, 431],
    ["a head at its limit", `GET / HTTP/1.1\r\n${h}A: ${"x".repeat(200 - 16 - 9 - 3 - 4)}\r\n\r\n`, "head"],
    ["a head above its limit", `GET / HTTP/1.1\r\n${h}A: ${"x".repeat(200 - 16 - 9 - 3 - 3)}\r\n\r\n`, 431],
    ["a head that never ends", `GET / HTTP/1.1\r\nA: ${"x".repeat(300)}`, 431],
  ] as const) {
    test(`${what} gives ${expected}`, () => {
      const result = read(text, limits);
      assert.equal(typeof result === "object" ? "head" : result, expected);
    });
  }
});

describe("framing of requests: what could be read in two ways is refused", () => {
  const cl = "Content-Length:";
  const te = "Transfer-Encoding:";
  for (const [fields, expected] of [
    ["", "none"],
    [`${cl} 5\r\n`, 5],
    [`${cl} 005\r\n`, 5],
    [`${cl} 0\r\n`, "none"],
    [`${cl} 5\r\n${cl} 5\r\n`, 5],
    [`${te} chunked\r\n`, "chunked"],
    [`${te} Chunked\r\n`, "chunked"],
    [`${te} , chunked ,\r\n`, "chunked"],
    [`${cl} 5\r\n${cl} 6\r\n`, 400],
    [`${cl} 5, 5\r\n`, 400],
    [`${cl} +5\r\n`, 400],
    [`${cl} -5\r\n`, 400],
    [`${cl} 0x5\r\n`, 400],
    [`${cl} 5 5\r\n`, 400],
    [`${cl} 5.0\r\n`, 400],
    [`${cl}\r\n`, 400],
    [`${cl} 99999999999999999999\r\n`, 400],
    [`${cl} 5\r\n${te} chunked\r\n`, 400],
    [`${te} chunked\r\n${cl} 0\r\n`, 400],
    [`${te} identity\r\n${cl} 5\r\n`, 400],
    [`${te} chunked\r\n${te} chunked\r\n`, 400],
    [`${te} chunked, chunked\r\n`, 400],
    [`${te} chunked, gzip\r\n`, 400],
    [`${te} chunked\r\n${te} identity\r\n`, 400],
    [`${te} chunked;q=1\r\n`, 400],
    [`${te} "chunked"\r\n`, 400],
    [`${te} chunked\x80\r\n`, 400],
    [`${te}\r\n`, 400],
    [`${te} gzip, chunked\r\n`, 501],
    [`${te} gzip\r\n`, 501],
    [`${te} identity\r\n`, 501],
    [`${te} xchunked\r\n`, 501],
    ["Transfer-Encoding : chunked\r\n", 400],
    [`X: y\r\n\t${te} chunked\r\n`, 400],
    [`X: y\n${te} chunked\r\n`, 400],
    [`X: y\r${te} chunked\r\n`, 400],
    ["Transfer-Encoding\0: chunked\r\n", 400],
    ["Transfer-Encoding:\x0bchunked\r\n", 400],
    [`${te} chunk\r\n ed\r\n`, 400],
    // With an underscore the name is another one; it is kept from backends that would mix them up.
    ["Transfer_Encoding: chunked\r\n", "none"],
    ["Content_Length: 5\r\n", "none"],
  ] as const) {
    test(`${JSON.stringify(fields)} gives ${expected}`, () => {
      const head = read(`POST / HTTP/1.1\r\n${h}${fields}\r\n`);
      if (typeof head !== "object") return assert.equal(head, expected);
      const { framing } = head;
      assert.equal(framing.kind === "length" ? framing.length : framing.kind, expected);
    });
  }

  test("chunks from HTTP/1.0 are refused", () => {
    assert.equal(read(`POST / HTTP/1.0\r\n${h}Transfer-Encoding: chunked\r\n\r\n`), 400);
  });
});

describe("answers", () => {
  for (const [line, expected] of [
    ["HTTP/1.1 200 OK", 200],
    ["HTTP/1.0 404 Not Found at all", 404],
    ["HTTP/1.1 200 ", 200],
    ["HTTP/1.1 200", 200],
    ["HTTP/2.0 200 OK", "bad"],
    ["HTTP/1.1 99 Low", "bad"],
    ["HTTP/1.1 600 High", "bad"],
    ["HTTP/1.1 2000 Long", "bad"],
    ["HTTP/1.1  200 OK", "bad"],
    ["ICY 200 OK", "bad"],
  ] as const) {
    test(`${JSON.stringify(line)} is ${expected}`, () => {
      const head = answerOf(`${line}\r\n\r\n`);
      assert.equal(typeof head === "object" ? head.status : head, expected);
    });
  }

  for (const [method, line, fields, expected] of [
    ["GET", "200", "Content-Length: 3\r\n", 3],
    ["GET", "200", "", "close"],
    ["GET", "200", "Content-Length: 0\r\n", "none"],
    ["GET", "200", "Transfer-Encoding: chunked\r\n", "chunked"],
    ["HEAD", "200", "Content-Length: 3\r\n", "none"],
    ["HEAD", "200", "Transfer-Encoding: chunked\r\n", "none"],
    ["GET", "204", "Content-Length: 3\r\n", "none"],
    ["GET", "304", "Content-Length: 3\r\n", "none"],
    ["GET", "103", "", "none"],
    ["GET", "200", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "bad"],
    ["GET", "200", "Content-Length: 3\r\nContent-Length: 4\r\n", "bad"],
    ["GET", "200", "Content-Length: x\r\n", "bad"],
    ["GET", "200", "Transfer-Encoding: gzip\r\n", "bad"],
  ] as const) {
    test(`the body of ${line} ${JSON.stringify(fields)} to ${method} is ${expected}`, () => {
      const head = answerOf(`HTTP/1.1 ${line} X\r\n${fields}\r\n`);
      assert.ok(typeof head === "object");
      const framing = responseFraming(head, head.minorVersion, head.status, method);
      const got =
        framing.kind === "length" ? framing.length : framing.kind === "refusal" ? "bad" : framing.kind;
      assert.equal(got, expected);
    });
  }
});

const decode = (text: string) => {
  const decoder = new ChunkedDecoder();
  const bytes = Buffer.from(text, "latin1");
  let data = "";
  const used = decoder.read(bytes, 0, (slice) => (data += slice.toString("latin1")));
  return {
    data,
    done: decoder.done,
    refused: decoder.refusal?.status,
    trailers: decoder.trailers,
    rest: text.slice(used),
  };
};

describe("chunked bodies", () => {
  test("data, extensions, trailers and the bytes behind are told apart", () => {
    const text =
      '5;a=b;c="d e"\r\nhello\r\nA\r\n0123456789\r\n000\r\nX-A: 1\r\nHost: no\r\nContent-Length: 9\r\nX-B: 2\r\n\r\nGET';
    assert.deepEqual(decode(text), {
      data: "hello0123456789",
      done: true,
      refused: undefined,
      trailers: "X-A: 1\r\nX-B: 2\r\n",
      rest: "GET",
    });
  });

  for (const [what, text, status] of [
    ["no size", "\r\n", 400],
    ["a sign", "+5\r\nhello\r\n", 400],
    ["0x", "0x5\r\nhello\r\n", 400],
    ["a space before the size", " 5\r\nhello\r\n", 400],
    ["a space behind the size", "5 \r\nhello\r\n", 400],
    ["a size of 14 digits", "00000000000005\r\nhello\r\n", 400],
    ["a huge size", "fffffffffffffffff\r\n", 400],
    ["LF behind the size", "5\nhello\r\n0\r\n\r\n", 400],
    ["CR alone behind the size", "5\rhello\r\n0\r\n\r\n", 400],
    ["LF inside an extension", "5;a\nb\r\nhello\r\n", 400],
    ["CR inside an extension", "5;a\rb\r\nhello\r\n", 400],
    ["data longer than its size", "5\r\nhello!\r\n", 400],
    ["LF behind the data", "5\r\nhello\n0\r\n\r\n", 400],
    ["no end of line behind the data", "5\r\nhello0\r\n\r\n", 400],
    ["endless extensions", `5;${"x".repeat(5000)}\r\n`, 400],
    ["a folded trailer", "0\r\nX: 1\r\n 2\r\n\r\n", 400],
    ["LF in the trailer", "0\r\nX: 1\n\r\n", 400],
    ["endless trailers", `0\r\n${"X: 1\r\n".repeat(2000)}\r\n`, 431],
  ] as const) {
    test(`${what} is refused with ${status}`, () => {
      assert.equal(decode(text).refused, status);
    });
  }

  test("extensions are bounded over the whole body, not per chunk", () => {
    assert.equal(decode("1;xxxxxxxxx\r\na\r\n".repeat(500)).refused, 400);
  });

  test("what is encoded is decoded", () => {
    const text = `${chunkStart(300)}${"x".repeat(300)}\r\n${lastChunk("X: 1\r\n")}`;
    assert.deepEqual(decode(text), {
      data: "x".repeat(300),
      done: true,
      refused: undefined,
      trailers: "X: 1\r\n",
      rest: "",
    });
  });
});

test("a body with a length ends at its length", () => {
  const reader = createBodyReader({ kind: "length", length: 5 });
  let data = "";
  const used = reader.read(Buffer.from("helloGET"), 0, (slice) => (data += slice.toString()));
  assert.deepEqual([data, used, reader.done], ["hello", 5, true]);
});

for (const [text, host, port] of [
  ["a.test", "a.test", undefined],
  ["a.test:80", "a.test", 80],
  ["a.test:", "a.test", undefined],
  ["10.0.0.1:8080", "10.0.0.1", 8080],
  ["[2001:db8::1]:443", "[2001:db8::1]", 443],
] as const) {
  test(`${text} is host ${host} and ${port === undefined ? "no port" : `port ${port}`}`, () => {
    assert.deepEqual(parseAuthority(text), { host, port });
  });
}

for (const text of [
  "",
  ":80",
  "a b",
  "a/b",
  "a?b",
  "u@a",
  "[::1",
  "::1",
  "[x]",
  "a:b",
  "a:65536",
  "a\\b",
  "a\tb",
]) {
  test(`${JSON.stringify(text)} is no authority`, () => {
    assert.equal(parseAuthority(text), undefined);
  });
}

test("routing compares hosts in lower case, without port and final dot", () => {
  assert.equal(routingHost("API.Example.Test.:8443"), "api.example.test");
});
