import assert from "node:assert/strict";
import { test } from "node:test";
import type { ApiRequest, Transport } from "#client";
import { severable } from "./severed.ts";

/** Remembers what it was asked, and answers with nothing. */
function recorder() {
  const asked: ApiRequest[] = [];
  const transport: Transport = {
    request: (request) => {
      asked.push(request);
      return Promise.resolve({ status: 200, headers: {}, body: (async function* () {})() });
    },
  };
  return { asked, transport };
}

const request: ApiRequest = { method: "GET", path: "/api/v1/pods" };

test("whole, it passes requests on", async () => {
  const { asked, transport } = recorder();
  await severable(transport).transport.request(request);
  assert.deepEqual(asked, [request]);
});

test("cut, watches end and requests are refused; mended, all is as before", async () => {
  const { asked, transport } = recorder();
  const way = severable(transport);
  const own = new AbortController();
  await way.transport.request({ ...request, signal: own.signal });
  way.sever("node-a is down");
  assert.equal(asked[0]?.signal?.aborted, true);
  assert.equal(own.signal.aborted, false);
  await assert.rejects(way.transport.request(request), { code: "Unreachable", message: /node-a is down/ });
  way.restore();
  await way.transport.request({ ...request, signal: own.signal });
  assert.equal(asked[1]?.signal?.aborted, false);
  own.abort();
  assert.equal(asked[1]?.signal?.aborted, true);
});
