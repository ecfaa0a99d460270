import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { configMap, createTestApi } from "./testing.ts";
import type { Answer } from "./testing.ts";

const MAPS = "/api/v1/namespaces/default/configmaps";
const meta = (answer: Answer): Record<string, unknown> => answer.body["metadata"] as Record<string, unknown>;

describe("creating", () => {
  it("fills in uid, creation time, namespace and version", async () => {
    const api = createTestApi({ clock: () => new Date("2030-01-02T03:04:05.678Z") });
    const answer = await api.call("POST", MAPS, configMap("a", { data: { x: "1" } }));
    assert.equal(answer.status, 201);
    const { uid, creationTimestamp, namespace, resourceVersion } = meta(answer);
    assert.match(String(uid), /^[0-9a-f-]{36}$/);
    assert.equal(creationTimestamp, "2030-01-02T03:04:05Z");
    assert.equal(namespace, "default");
    assert.match(String(resourceVersion), /^\d+$/);
  });

  it("makes a name from generateName, 63 characters at most", async () => {
    const api = createTestApi();
    const answer = await api.call("POST", MAPS, { metadata: { generateName: `${"a".repeat(70)}-` } });
    assert.match(String(meta(answer)["name"]), /^a{58}[b-z0-9]{5}$/);
  });

  it("what a client says of uid, creation time and managedFields does not count", async () => {
    const api = createTestApi();
    const metadata = {
      name: "a",
      uid: "mine",
      creationTimestamp: "2001-01-01T00:00:00Z",
      managedFields: [{}],
    };
    const made = meta(await api.call("POST", MAPS, { metadata }));
    assert.notEqual(made["uid"], "mine");
    assert.notEqual(made["creationTimestamp"], "2001-01-01T00:00:00Z");
    assert.equal("managedFields" in made, false);
  });

  const refusals: readonly (readonly [
    title: string,
    path: string,
    body: unknown,
    status: number,
    message: string,
  ])[] = [
    ["a taken name", MAPS, configMap("taken"), 409, 'configmaps "taken" already exists'],
    [
      "an absent namespace",
      "/api/v1/namespaces/nope/configmaps",
      configMap("a"),
      404,
      'namespaces "nope" not found',
    ],
    [
      "another namespace than the path's",
      MAPS,
      { metadata: { name: "a", namespace: "other" } },
      400,
      "the namespace of the provided object does not match the namespace sent on the request",
    ],
    [
      "a version",
      MAPS,
      { metadata: { name: "a", resourceVersion: "5" } },
      500,
      "resourceVersion should not be set on objects to be created",
    ],
    [
      "all namespaces at once",
      "/api/v1/configmaps",
      configMap("a"),
      405,
      "the server does not allow this method on the requested resource",
    ],
    [
      "another kind",
      MAPS,
      { apiVersion: "v2", kind: "ConfigMap", metadata: { name: "a" } },
      400,
      "the API version in the data (v2) does not match the expected API version (v1)",
    ],
  ];
  for (const [title, path, body, status, message] of refusals) {
    it(`${title} is refused`, async () => {
      const api = createTestApi();
      await api.call("POST", MAPS, configMap("taken"));
      const answer = await api.call("POST", path, body);
      assert.deepEqual([answer.status, answer.body["message"]], [status, message]);
      assert.equal(answer.body["kind"], "Status");
    });
  }

  it("a dry run answers as if, and stores nothing", async () => {
    const api = createTestApi();
    const answer = await api.call("POST", `${MAPS}?dryRun=All`, configMap("a"));
    assert.equal(answer.status, 201);
    assert.equal("resourceVersion" in meta(answer), false);
    assert.equal((await api.call("GET", `${MAPS}/a`)).status, 404);
  });

  it("a new namespace has its label and its default ServiceAccount", async () => {
    const api = createTestApi();
    const namespace = await api.call("POST", "/api/v1/namespaces", { metadata: { name: "x" } });
    assert.deepEqual(meta(namespace)["labels"], { "kubernetes.io/metadata.name": "x" });
    assert.equal((await api.call("GET", "/api/v1/namespaces/x/serviceaccounts/default")).status, 200);
  });
});

describe("unknown and repeated fields", () => {
  const body = '{"metadata":{"name":"a","bogus":1},"data":{"x":"1","x":"2"}}';

  it("Strict refuses them", async () => {
    const answer = await createTestApi().call("POST", `${MAPS}?fieldValidation=Strict`, body);
    assert.equal(answer.status, 400);
    assert.equal(
      answer.body["message"],
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: duplicate field "data.x", unknown field "metadata.bogus"',
    );
  });

  it("Warn, the default, warns and drops them", async () => {
    const answer = await createTestApi().call("POST", MAPS, body);
    assert.equal(answer.status, 201);
    assert.equal(
      answer.headers["warning"],
      String.raw`299 - "duplicate field \"data.x\"", 299 - "unknown field \"metadata.bogus\""`,
    );
    assert.equal("bogus" in meta(answer), false);
  });

  it("Ignore says nothing", async () => {
    const answer = await createTestApi().call("POST", `${MAPS}?fieldValidation=Ignore`, body);
    assert.deepEqual([answer.status, answer.headers["warning"]], [201, undefined]);
  });

  it("YAML is read like JSON", async () => {
    const yaml = "metadata:\n  name: a\ndata:\n  x: '1'\n  x: '2'\n";
    const answer = await createTestApi().call("POST", MAPS, yaml, { "content-type": "application/yaml" });
    assert.deepEqual(answer.body["data"], { x: "2" });
    assert.equal(answer.headers["warning"], String.raw`299 - "line 5: key \"x\" already set in map"`);
  });

  for (const type of ["application/vnd.kubernetes.protobuf", "text/plain"]) {
    it(`${type} is answered with 415`, async () => {
      const answer = await createTestApi().call("POST", MAPS, "x", { "content-type": type });
      assert.deepEqual([answer.status, answer.body["reason"]], [415, "UnsupportedMediaType"]);
    });
  }
});

describe("replacing", () => {
  it("counts only when something changes", async () => {
    const api = createTestApi();
    const first = await api.call("POST", MAPS, configMap("a", { data: { x: "1" } }));
    const same = await api.call("PUT", `${MAPS}/a`, configMap("a", { data: { x: "1" } }));
    assert.equal(meta(same)["resourceVersion"], meta(first)["resourceVersion"]);
    const changed = await api.call("PUT", `${MAPS}/a`, configMap("a", { data: { x: "2" } }));
    assert.notEqual(meta(changed)["resourceVersion"], meta(first)["resourceVersion"]);
    assert.equal(meta(changed)["uid"], meta(first)["uid"]);
  });

  it("a version that is not the stored one is a conflict", async () => {
    const api = createTestApi();
    const { body: first } = await api.call("POST", MAPS, configMap("a"));
    await api.call("PUT", `${MAPS}/a`, { ...first, data: { x: "1" } });
    const late = await api.call("PUT", `${MAPS}/a`, { ...first, data: { x: "2" } });
    assert.deepEqual(
      [late.status, late.body["reason"], late.body["message"]],
      [
        409,
        "Conflict",
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again',
      ],
    );
  });

  it("a Service may be created by PUT, a ConfigMap not", async () => {
    const api = createTestApi();
    assert.equal((await api.call("PUT", `${MAPS}/a`, configMap("a"))).status, 404);
    const service = { metadata: { name: "web" }, spec: { ports: [{ port: 80 }] } };
    assert.equal((await api.call("PUT", "/api/v1/namespaces/default/services/web", service)).status, 201);
  });

  it("the status subresource changes status alone, the object itself everything else", async () => {
    const api = createTestApi();
    const path = "/api/v1/namespaces/default/services";
    await api.call("POST", path, {
      metadata: { name: "web" },
      spec: { type: "LoadBalancer", ports: [{ port: 80 }] },
    });
    const status = { loadBalancer: { ingress: [{ ip: "203.0.113.1" }] } };
    const main = await api.call("PATCH", `${path}/web`, { status });
    assert.deepEqual(main.body["status"], { loadBalancer: {} });
    const sub = await api.call("PATCH", `${path}/web/status`, { status, spec: { ports: [{ port: 99 }] } });
    assert.match(JSON.stringify(sub.body["status"]), /203\.0\.113\.1/);
    assert.match(JSON.stringify(sub.body["spec"]), /"port":80/);
  });
});

describe("patching", () => {
  const cases: readonly (readonly [type: string, patch: unknown, data: unknown])[] = [
    ["merge-patch", { data: { x: null, z: "3" } }, { y: "2", z: "3" }],
    ["strategic-merge-patch", { data: { x: null, z: "3" } }, { y: "2", z: "3" }],
    [
      "json-patch",
      [
        { op: "remove", path: "/data/x" },
        { op: "add", path: "/data/z", value: "3" },
      ],
      { y: "2", z: "3" },
    ],
    [
      "json-patch",
      [
        { op: "test", path: "/data/x", value: "1" },
        { op: "replace", path: "/data/x", value: "9" },
      ],
      { x: "9", y: "2" },
    ],
  ];
  for (const [type, patch, data] of cases) {
    it(`${type} ${JSON.stringify(patch)}`, async () => {
      const api = createTestApi();
      await api.call("POST", MAPS, configMap("a", { data: { x: "1", y: "2" } }));
      const answer = await api.call("PATCH", `${MAPS}/a`, patch, {
        "content-type": `application/${type}+json`,
      });
      assert.deepEqual([answer.status, answer.body["data"]], [200, data]);
    });
  }

  const failures: readonly (readonly [type: string, patch: unknown, status: number, message: RegExp])[] = [
    [
      "json-patch+json",
      [{ op: "test", path: "/data/x", value: "2" }],
      422,
      /the server rejected our request/,
    ],
    ["json-patch+json", [{ op: "frob", path: "/data" }], 422, /the server rejected our request/],
    [
      "json-patch+json",
      { op: "add" },
      400,
      /cannot unmarshal object into Go value of type \[\]handlers.jsonPatchOp/,
    ],
    ["merge-patch+json", "[", 400, /^error decoding patch: unexpected end of JSON input$/],
    ["merge-patch+json", { metadata: { name: "b" } }, 400, /does not match the name on the URL \(a\)/],
    ["apply-patch+yaml", { data: {} }, 415, /server-side apply is not supported yet/],
    ["json", { data: {} }, 415, /^415: Unsupported Media Type$/],
  ];
  for (const [type, patch, status, message] of failures) {
    it(`${type} ${JSON.stringify(patch)} is answered with ${status}`, async () => {
      const api = createTestApi();
      await api.call("POST", MAPS, configMap("a", { data: { x: "1" } }));
      const answer = await api.call("PATCH", `${MAPS}/a`, patch, { "content-type": `application/${type}` });
      assert.equal(answer.status, status, answer.text);
      assert.match(String(answer.body["message"]), message);
    });
  }

  it("scale reads and sets the replicas of a workload", async () => {
    const api = createTestApi();
    const path = "/apis/apps/v1/namespaces/default/deployments";
    const labels = { app: "a" };
    const template = { metadata: { labels }, spec: { containers: [{ name: "c", image: "x" }] } };
    await api.call("POST", path, {
      metadata: { name: "d" },
      spec: { selector: { matchLabels: labels }, template },
    });
    const scale = await api.call("PATCH", `${path}/d/scale`, { spec: { replicas: 4 } });
    assert.equal(scale.body["kind"], "Scale");
    assert.deepEqual(scale.body["spec"], { replicas: 4 });
    assert.equal((scale.body["status"] as { selector: string }).selector, "app=a");
    const workload = await api.call("GET", `${path}/d`);
    assert.equal((workload.body["spec"] as { replicas: number }).replicas, 4);
    assert.equal(meta(workload)["generation"], 2);
    assert.equal((await api.call("PATCH", `${path}/d/scale`, { spec: { replicas: -1 } })).status, 422);
  });
});

const ingress = (name: string, annotations = {}): unknown => ({
  metadata: { name, annotations },
  spec: { defaultBackend: { service: { name: "web", port: { number: 80 } } } },
});

const classOf = (answer: Answer): unknown =>
  (answer.body["spec"] as Record<string, unknown>)["ingressClassName"];

describe("what the server adds by looking at the cluster", () => {
  const INGRESSES = "/apis/networking.k8s.io/v1/namespaces/default/ingresses";
  it("an Ingress without class gets the default one", async () => {
    const api = createTestApi();
    assert.equal(classOf(await api.call("POST", INGRESSES, ingress("none"))), undefined);
    await api.call("POST", "/apis/networking.k8s.io/v1/ingressclasses", {
      metadata: { name: "inroad", annotations: { "ingressclass.kubernetes.io/is-default-class": "true" } },
      spec: { controller: "inroad.dev/ingress" },
    });
    assert.equal(classOf(await api.call("POST", INGRESSES, ingress("some"))), "inroad");
    const old = await api.call("POST", INGRESSES, ingress("old", { "kubernetes.io/ingress.class": "nginx" }));
    assert.equal(classOf(old), undefined);
    assert.match(old.headers["warning"] ?? "", /deprecated, please use 'spec.ingressClassName' instead/);
  });

  it("both kinds of Event are one", async () => {
    const api = createTestApi();
    const event = {
      metadata: { name: "e" },
      involvedObject: { kind: "Pod", name: "p", namespace: "default" },
      reason: "R",
      message: "m",
    };
    await api.call("POST", "/api/v1/namespaces/default/events", event);
    const grouped = await api.call("GET", "/apis/events.k8s.io/v1/namespaces/default/events/e");
    assert.equal(grouped.body["note"], "m");
    assert.equal(grouped.body["apiVersion"], "events.k8s.io/v1");
    assert.deepEqual((grouped.body["regarding"] as { name: string }).name, "p");
  });
});
