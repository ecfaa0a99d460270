import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { configMap, createTestApi } from "./testing.ts";
import type { Answer, TestApi } from "./testing.ts";

const MAPS = "/api/v1/namespaces/default/configmaps";
const TABLE = { accept: "application/json;as=Table;v=v1;g=meta.k8s.io,application/json" };

interface List {
  readonly kind: string;
  readonly metadata: {
    readonly resourceVersion: string;
    readonly continue?: string;
    readonly remainingItemCount?: number;
  };
  readonly items: readonly { readonly metadata: { readonly name: string }; readonly kind?: string }[];
}
const listOf = (answer: Answer): List => answer.body as unknown as List;
const names = (answer: Answer): string[] => listOf(answer).items.map((item) => item.metadata.name);

async function withMaps(...list: string[]): Promise<TestApi> {
  const api = createTestApi({ historySize: 50 });
  for (const name of list)
    await api.call("POST", MAPS, configMap(name, { metadata: { name, labels: { l: name } } }));
  return api;
}

describe("lists", () => {
  it("are sorted by name and their items have no kind", async () => {
    const answer = await (await withMaps("b", "a")).call("GET", MAPS);
    assert.deepEqual(names(answer), ["a", "b"]);
    assert.equal(listOf(answer).kind, "ConfigMapList");
    assert.equal("kind" in (listOf(answer).items[0] ?? {}), false);
  });

  it("of an absent namespace are empty", async () => {
    const answer = await createTestApi().call("GET", "/api/v1/namespaces/nope/configmaps");
    assert.deepEqual([answer.status, names(answer)], [200, []]);
  });

  it("come in pages of one moment, whatever changes between them", async () => {
    const api = await withMaps("a", "b", "c", "d", "e");
    const first = await api.call("GET", `${MAPS}?limit=2`);
    assert.deepEqual([names(first), listOf(first).metadata.remainingItemCount], [["a", "b"], 3]);
    await api.call("POST", MAPS, configMap("bb"));
    await api.call("DELETE", `${MAPS}/e`);
    const second = await api.call("GET", `${MAPS}?limit=2&continue=${listOf(first).metadata.continue}`);
    assert.deepEqual([names(second), listOf(second).metadata.remainingItemCount], [["c", "d"], 1]);
    const third = await api.call("GET", `${MAPS}?limit=2&continue=${listOf(second).metadata.continue}`);
    assert.deepEqual([names(third), listOf(third).metadata.continue], [["e"], undefined]);
    assert.equal(listOf(third).metadata.resourceVersion, listOf(first).metadata.resourceVersion);
  });

  it("with a selector do not tell how many remain", async () => {
    const api = await withMaps("a", "b", "c", "d");
    const selector = "labelSelector=l%20in%20(b%2Cd)";
    const first = await api.call("GET", `${MAPS}?limit=1&${selector}`);
    assert.deepEqual([names(first), listOf(first).metadata.remainingItemCount], [["b"], undefined]);
    const second = await api.call(
      "GET",
      `${MAPS}?limit=1&${selector}&continue=${listOf(first).metadata.continue}`,
    );
    assert.deepEqual([names(second), listOf(second).metadata.continue], [["d"], undefined]);
  });

  it("an expired page token is answered with 410 and a token to go on with", async () => {
    const api = await withMaps("a", "b", "c");
    const first = await api.call("GET", `${MAPS}?limit=1`);
    for (let i = 0; i < 120; i++) await api.call("PATCH", `${MAPS}/a`, { data: { i: String(i) } });
    const late = await api.call("GET", `${MAPS}?limit=1&continue=${listOf(first).metadata.continue}`);
    assert.deepEqual([late.status, late.body["reason"]], [410, "Expired"]);
    const again = await api.call("GET", `${MAPS}?continue=${listOf(late).metadata.continue}`);
    assert.deepEqual(names(again), ["b", "c"]);
  });

  it("can show an exact earlier version, but no later one", async () => {
    const api = await withMaps("a");
    const { resourceVersion } = listOf(await api.call("GET", MAPS)).metadata;
    await api.call("POST", MAPS, configMap("b"));
    const exact = await api.call(
      "GET",
      `${MAPS}?resourceVersion=${resourceVersion}&resourceVersionMatch=Exact`,
    );
    assert.deepEqual(names(exact), ["a"]);
    assert.deepEqual(names(await api.call("GET", `${MAPS}?resourceVersion=${resourceVersion}`)), ["a", "b"]);
    const future = await api.call("GET", `${MAPS}?resourceVersion=999999`);
    assert.deepEqual([future.status, future.body["reason"]], [504, "Timeout"]);
  });

  const refusals: readonly (readonly [query: string, status: number, message: RegExp])[] = [
    ["labelSelector=a%3D%3D%3Db", 400, /found '=', expected: identifier/],
    ["fieldSelector=spec.foo%3Dx", 400, /"spec.foo" is not a known field selector/],
    ["limit=x", 400, /strconv.ParseInt: parsing "x": invalid syntax/],
    ["resourceVersion=x", 400, /^invalid resource version: resourceVersion: Invalid value: "x"/],
    ["continue=garbage", 400, /^invalid continue token: continue key is not valid/],
    [
      "resourceVersionMatch=Exact",
      422,
      /resourceVersionMatch is forbidden unless resourceVersion is provided/,
    ],
    ["sendInitialEvents=true", 422, /sendInitialEvents is forbidden for list/],
    [
      "watch=true&sendInitialEvents=true",
      422,
      /sendInitialEvents requires setting resourceVersionMatch to NotOlderThan/,
    ],
    ["watch=true&resourceVersion=x", 500, /^resourceVersion: Invalid value: "x"/],
  ];
  for (const [query, status, message] of refusals) {
    it(`?${query} is answered with ${status}`, async () => {
      const answer = await createTestApi().call("GET", `${MAPS}?${query}`);
      assert.equal(answer.status, status);
      assert.match(String(answer.body["message"]), message);
    });
  }
});

const rows = (answer: Answer): { cells: unknown[]; object: { kind: string } | null }[] =>
  answer.body["rows"] as { cells: unknown[]; object: { kind: string } | null }[];

describe("tables", () => {
  it("have a row per object, with its metadata unless told otherwise", async () => {
    const api = await withMaps("a", "b");
    const wanted = [
      ["", "PartialObjectMetadata"],
      ["?includeObject=Object", "ConfigMap"],
      ["?includeObject=None", undefined],
    ] as const;
    for (const [query, kind] of wanted) {
      const answer = await api.call("GET", `${MAPS}${query}`, undefined, TABLE);
      assert.equal(answer.body["kind"], "Table");
      assert.deepEqual(
        rows(answer).map((row) => [row.cells[0], row.object?.kind]),
        [
          ["a", kind],
          ["b", kind],
        ],
      );
    }
    assert.equal((await api.call("GET", `${MAPS}?includeObject=Bogus`, undefined, TABLE)).status, 400);
  });

  it("also answer writes", async () => {
    const answer = await createTestApi().call("POST", MAPS, configMap("a"), TABLE);
    assert.deepEqual([answer.status, answer.body["kind"]], [201, "Table"]);
  });

  it("a failure stays a Status", async () => {
    const answer = await createTestApi().call("GET", `${MAPS}/nope`, undefined, TABLE);
    assert.deepEqual(
      [answer.status, answer.body["kind"], answer.body["message"]],
      [404, "Status", 'configmaps "nope" not found'],
    );
  });
});

it("YAML can be had as well", async () => {
  const answer = await (
    await withMaps("a")
  ).call("GET", `${MAPS}/a`, undefined, { accept: "application/yaml" });
  assert.equal(answer.headers["content-type"], "application/yaml");
  assert.match(answer.text, /^apiVersion: v1\nkind: ConfigMap\n/);
});
