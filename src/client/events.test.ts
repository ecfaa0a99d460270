import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient } from "./client.ts";
import { createManualClock } from "./clock.ts";
import { createEventRecorder } from "./events.ts";
import { scriptedTransport } from "./scripted-transport.ts";

const subject = { apiVersion: "v1", kind: "Pod", namespace: "shop", name: "web-1", uid: "u1" };

function recorderOn() {
  const transport = scriptedTransport();
  const clock = createManualClock(Date.parse("2026-01-02T03:04:05Z"));
  return {
    transport,
    clock,
    recorder: createEventRecorder(createClient(transport), "default-scheduler", { clock }),
  };
}

test("an event names its object, reason, message and source", async () => {
  const { transport, recorder } = recorderOn();
  recorder.event(subject, "Warning", "FailedScheduling", "no nodes available");
  const pending = await transport.next();
  const { request } = pending;
  assert.equal(`${request.method} ${request.path}`, "POST /api/v1/namespaces/shop/events");
  const { metadata, ...event } = JSON.parse(String(request.body));
  assert.match(metadata.name, /^web-1\.[0-9a-f]+$/);
  assert.deepEqual(event, {
    apiVersion: "v1",
    kind: "Event",
    involvedObject: subject,
    reason: "FailedScheduling",
    message: "no nodes available",
    type: "Warning",
    source: { component: "default-scheduler" },
    reportingComponent: "default-scheduler",
    firstTimestamp: "2026-01-02T03:04:05Z",
    lastTimestamp: "2026-01-02T03:04:05Z",
    count: 1,
  });
  pending.json(201, {});
  await recorder.flush();
});

test("the same event again raises the count, another message is another event", async () => {
  const { transport, clock, recorder } = recorderOn();
  recorder.event(subject, "Warning", "Failed", "x");
  (await transport.next()).json(201, {});
  await recorder.flush();
  clock.advance(5000);
  recorder.event(subject, "Warning", "Failed", "x");
  const again = await transport.next();
  assert.equal(again.request.method, "PATCH");
  assert.deepEqual(JSON.parse(String(again.request.body)), {
    count: 2,
    lastTimestamp: "2026-01-02T03:04:10Z",
  });
  again.json(200, {});
  recorder.event(subject, "Warning", "Failed", "y");
  const other = await transport.next();
  assert.equal(other.request.method, "POST");
  other.json(201, {});
  await recorder.flush();
});

test("events that come while one is being written are counted in one write", async () => {
  const { transport, recorder } = recorderOn();
  for (let count = 0; count < 5; count += 1) recorder.event(subject, "Normal", "Created", "x");
  (await transport.next()).json(201, {});
  const second = await transport.next();
  assert.equal(JSON.parse(String(second.request.body)).count, 5);
  second.json(200, {});
  await recorder.flush();
  assert.equal(transport.waiting(), 0);
});

test("an event that the server has dropped is made anew", async () => {
  const { transport, recorder } = recorderOn();
  recorder.event(subject, "Normal", "Created", "x");
  (await transport.next()).json(201, {});
  await recorder.flush();
  recorder.event(subject, "Normal", "Created", "x");
  (await transport.next()).json(404, { reason: "NotFound" });
  const anew = await transport.next();
  assert.equal(anew.request.method, "POST");
  anew.json(201, {});
  (await transport.next()).json(200, {});
  await recorder.flush();
});

test("a server that refuses events troubles nobody", async () => {
  const { transport, recorder } = recorderOn();
  recorder.event(subject, "Normal", "Created", "x");
  (await transport.next()).json(403, {});
  await recorder.flush();
  assert.equal(transport.waiting(), 0);
});
