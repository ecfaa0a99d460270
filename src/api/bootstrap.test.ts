import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createTestApi } from "./testing.ts";
import type { TestApi } from "./testing.ts";

let api: TestApi;
before(() => {
  api = createTestApi({ kubernetesEndpoint: { address: "172.30.0.1", port: 6443 } });
});
after(() => api.server.close());

const paths = {
  service: "/api/v1/namespaces/default/services",
  slice: "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
  endpoints: "/api/v1/namespaces/default/endpoints",
};

for (const [what, path] of Object.entries(paths)) {
  test(`the ${what} of the API, deleted, is there again, and watchers hear both in order`, async () => {
    const { body: old } = await api.call("GET", `${path}/kubernetes`);
    const { resourceVersion } = old["metadata"] as { resourceVersion: string };
    const events = api.watch(`${path}?watch=1&resourceVersion=${resourceVersion}`, 2);
    await api.call("DELETE", `${path}/kubernetes`);
    const [gone, back] = await events;
    assert.deepEqual([gone?.type, back?.type], ["DELETED", "ADDED"]);
    const { body } = await api.call("GET", `${path}/kubernetes`);
    assert.deepEqual([body["spec"], body["endpoints"]], [old["spec"], old["endpoints"]]);
    assert.notDeepEqual(body["metadata"], old["metadata"]);
  });
}
