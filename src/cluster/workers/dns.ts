/** The cluster DNS, in the namespace of its pod. */
import { createSnapshotSource } from "#client";
import { startDns } from "#path/service";
import { forwardThrough } from "../threads.ts";
import { enterPod } from "./worker.ts";

const { data, client, log, ready, onStop } = await enterPod();
const source = createSnapshotSource(client, {
  domain: data.domain,
  controllerName: data.controllerName,
  // Names need no more: this pod need not know secrets.
  only: ["services", "endpointslices", "namespaces", "ingresses"],
  log,
});
const dns = startDns({
  source,
  listen: { udp: { address: "0.0.0.0", port: 53 }, tcp: { address: "0.0.0.0", port: 53 } },
  forward: forwardThrough(data.line),
  log,
});
onStop(() => dns.close());
await dns.ready;
ready();
