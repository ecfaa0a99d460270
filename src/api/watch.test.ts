import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { describe, it } from "node:test";
import { configMap, createTestApi, readEvents } from "./testing.ts";
import type { WatchEvent } from "./testing.ts";

const MAPS = "/api/v1/namespaces/default/configmaps";
const TABLE = { accept: "application/json;as=Table;v=v1;g=meta.k8s.io,application/json" };
const META = { accept: "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json" };

interface Metadata {
  readonly name?: string;
  readonly resourceVersion?: string;
  readonly annotations?: Record<string, string>;
}
const meta = (event: WatchEvent): Metadata => event.object["metadata"] ?? {};
const brief = (event: WatchEvent): string => `${event.type} ${meta(event).name ?? ""}`.trim();

async function versionNow(api: ReturnType<typeof createTestApi>): Promise<string> {
  const { body } = await api.call("GET", MAPS);
  return String((body["metadata"] as Metadata).resourceVersion);
}

describe("watching", () => {
  it("without a version begins with what there is, in order", async () => {
    const api = createTestApi();
    await api.call("POST", MAPS, configMap("b"));
    await api.call("POST", MAPS, configMap("a"));
    for (const from of ["", "&resourceVersion=0"]) {
      assert.deepEqual((await api.watch(`${MAPS}?watch=true${from}`, 2)).map(brief), ["ADDED a", "ADDED b"]);
    }
  });

  it("from a version shows what happened since, then what happens", async () => {
    const api = createTestApi();
    const from = await versionNow(api);
    await api.call("POST", MAPS, configMap("a"));
    const watching = api.watch(`${MAPS}?watch=true&resourceVersion=${from}`, 3);
    await api.call("PATCH", `${MAPS}/a`, { data: { x: "1" } });
    await api.call("DELETE", `${MAPS}/a`);
    assert.deepEqual((await watching).map(brief), ["ADDED a", "MODIFIED a", "DELETED a"]);
  });

  it("of a label selector shows objects that enter and leave it", async () => {
    const api = createTestApi();
    const from = await versionNow(api);
    await api.call("POST", MAPS, configMap("a"));
    for (const sel of ["x", "x", "y", "x"]) {
      await api.call("PATCH", `${MAPS}/a`, {
        metadata: { labels: { sel } },
        data: { v: String(Math.random()) },
      });
    }
    await api.call("DELETE", `${MAPS}/a`);
    const events = await api.watch(`${MAPS}?watch=1&labelSelector=sel%3Dx&resourceVersion=${from}`, 5);
    assert.deepEqual(
      events.map((event) => event.type),
      ["ADDED", "MODIFIED", "DELETED", "ADDED", "DELETED"],
    );
    const left = events[2]?.object["metadata"] as { labels: { sel: string } };
    assert.equal(left.labels.sel, "x", "the object that left is shown as it was");
  });

  it("of one name by field selector", async () => {
    const api = createTestApi();
    await api.call("POST", MAPS, configMap("a"));
    await api.call("POST", MAPS, configMap("b"));
    const events = await api.watch(`${MAPS}?watch=true&fieldSelector=metadata.name%3Db`, 1);
    assert.deepEqual(events.map(brief), ["ADDED b"]);
  });

  it("with initial events ends them with a bookmark", async () => {
    const api = createTestApi();
    await api.call("POST", MAPS, configMap("a"));
    const query =
      "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    const events = await api.watch(`${MAPS}?${query}`, 2);
    assert.deepEqual(events.map(brief), ["ADDED a", "BOOKMARK"]);
    const [, mark] = events;
    assert.ok(mark !== undefined);
    assert.deepEqual(meta(mark).annotations, { "k8s.io/initial-events-end": "true" });
    assert.equal(meta(mark).resourceVersion, await versionNow(api));
    assert.equal(mark.object["kind"], "ConfigMap");
  });

  it("as Table sends one row per event and columns once", async () => {
    const api = createTestApi();
    const from = await versionNow(api);
    await api.call("POST", MAPS, configMap("a"));
    await api.call("DELETE", `${MAPS}/a`);
    const events = await api.watch(`${MAPS}?watch=true&resourceVersion=${from}`, 2, TABLE);
    const tables = events.map(
      (event) => event.object as { kind: string; columnDefinitions: unknown; rows: unknown[] },
    );
    assert.deepEqual(
      tables.map((table) => [table.kind, table.rows.length]),
      [
        ["Table", 1],
        ["Table", 1],
      ],
    );
    assert.ok(Array.isArray(tables[0]?.columnDefinitions));
    assert.equal(tables[1]?.columnDefinitions, null);
  });

  it("as metadata leaves the rest out", async () => {
    const api = createTestApi();
    await api.call("POST", MAPS, configMap("a", { data: { x: "1" } }));
    const [event] = await api.watch(`${MAPS}?watch=true`, 1, META);
    assert.equal(event?.object["kind"], "PartialObjectMetadata");
    assert.equal("data" in (event?.object ?? {}), false);
  });

  it("from a version that is forgotten gives an ERROR with 410 and ends", async () => {
    const api = createTestApi({ historySize: 10 });
    await api.call("POST", MAPS, configMap("a"));
    for (let i = 0; i < 30; i++) await api.call("PATCH", `${MAPS}/a`, { data: { x: String(i) } });
    const events = await api.watch(`${MAPS}?watch=true&resourceVersion=3`, 99);
    assert.deepEqual(
      events.map((event) => [event.type, event.object["code"], event.object["reason"]]),
      [["ERROR", 410, "Expired"]],
    );
  });

  it("that is quiet gets a bookmark every minute, if it asks for them", async (t) => {
    t.mock.timers.enable({ apis: ["setInterval"] });
    const api = createTestApi();
    const from = await versionNow(api);
    await api.call("POST", "/api/v1/namespaces/default/secrets", { metadata: { name: "s" } });
    const watching = api.watch(`${MAPS}?watch=true&allowWatchBookmarks=true&resourceVersion=${from}`, 1);
    await turn();
    t.mock.timers.tick(60_000);
    const [event] = await watching;
    assert.equal(event?.type, "BOOKMARK");
    assert.deepEqual(event?.object["metadata"], { resourceVersion: await versionNow(api) });
  });

  it("ends after timeoutSeconds", async () => {
    // Timers of watches do not keep a process alive.
    const alive = setInterval(() => undefined, 1000);
    const api = createTestApi();
    assert.deepEqual(await api.watch(`${MAPS}?watch=true&timeoutSeconds=1`, 99), []);
    clearInterval(alive);
  });

  it("ends when the server closes", async () => {
    const api = createTestApi();
    const watching = api.watch(`${MAPS}?watch=true`, 99);
    await turn();
    api.server.close();
    assert.deepEqual(await watching, []);
  });

  it("beyond the limit of open watches is refused until one ends", async () => {
    const api = createTestApi({ maxWatches: 1 });
    const stop = new AbortController();
    const open = await api.transport.request({
      method: "GET",
      path: `${MAPS}?watch=true`,
      signal: stop.signal,
    });
    const refused = await api.call("GET", `${MAPS}?watch=true`);
    assert.deepEqual(
      [refused.status, refused.body["reason"], refused.headers["retry-after"]],
      [429, "TooManyRequests", "1"],
    );
    stop.abort();
    for await (const _event of readEvents(open)) assert.fail("no event was due");
    await api.call("POST", MAPS, configMap("a"));
    assert.equal((await api.watch(`${MAPS}?watch=true`, 1)).length, 1);
  });
});
