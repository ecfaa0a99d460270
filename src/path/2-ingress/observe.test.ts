import assert from "node:assert/strict";
import { test } from "node:test";
import type { Transport } from "#client";
import { observe } from "./observe.ts";

const pod = { namespace: "inroad-system", name: "inroad-ingress-a" };

/** A transport that answers every request alike and notes the paths. */
function answering(status: number, body: string): Transport & { paths: string[] } {
  const paths: string[] = [];
  return {
    paths,
    request: async ({ path }) => {
      paths.push(path);
      return { status, headers: {}, body: bytesOf(body) };
    },
  };
}

async function* bytesOf(text: string): AsyncGenerator<Uint8Array> {
  for (const byte of Buffer.from(text)) yield Uint8Array.of(byte);
}

test("the latest record of the request is read through the pod proxy", async () => {
  const transport = answering(
    200,
    JSON.stringify({
      records: [
        { requestId: "a/b", status: 200 },
        { requestId: "a/b", status: 502 },
      ],
    }),
  );
  const record = await observe(transport, pod, "a/b");
  assert.equal(record?.status, 502);
  assert.deepEqual(transport.paths, [
    "/api/v1/namespaces/inroad-system/pods/inroad-ingress-a:10254/proxy/debug/records?requestId=a%2Fb",
  ]);
});

test("no record is undefined", async () => {
  assert.equal(await observe(answering(200, '{"records":[]}'), pod, "x"), undefined);
});

test("an answer other than 200 is an error that says so", async () => {
  await assert.rejects(observe(answering(401, "a bearer token is needed"), pod, "x"), {
    code: "NoEvidence",
    message: /401 a bearer token/,
  });
});
