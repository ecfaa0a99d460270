/** The cluster DNS, in the namespace of its pod. */
import { createSnapshotSource } from "#client";
import { startDns } from "#path/service";
import { forwardThroughMain } from "../threads.ts";
import { enterPod } from "./worker.ts";

const { data, client, log, ready, onStop } = enterPod();
const source = createSnapshotSource(client, {
  domain: data.domain,
  controllerName: data.controllerName,
  log,
});
const dns = startDns({
  source,
  listen: { udp: { address: "0.0.0.0", port: 53 }, tcp: { address: "0.0.0.0", port: 53 } },
  forward: forwardThroughMain(data.pod.name),
  log,
});
onStop(() => dns.close());
await dns.ready;
ready();
