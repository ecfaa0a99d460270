import assert from "node:assert/strict";
import { test } from "node:test";
import { exampleSnapshot } from "../../test/support/snapshot.ts";
import { nodeConfigs, serviceCIDRs, type ClusterConfig } from "./config.ts";
import { statusOf } from "./status.ts";

const config: ClusterConfig = {
  name: "test",
  domain: "cluster.local",
  nodes: nodeConfigs(2, ["IPv4"]),
  proxyMode: "nftables",
  overlay: "vxlan",
  ipFamilies: ["IPv4"],
  serviceCIDRs: serviceCIDRs(["IPv4"]),
  publish: [],
  stateDir: "/nowhere",
  root: false,
  upstreamDns: [],
  commands: [],
  addressPools: [],
};

test("a node whose Service rules could not be changed is told, with the reason and what to do", () => {
  const failures = new Map([["node-b", "nft failed: Device or resource busy"]]);
  const { findings } = statusOf(config, exampleSnapshot(), [], {
    notes: [],
    mtuOf: () => undefined,
    faults: [],
    failureOf: (node) => failures.get(node),
  });
  assert.deepEqual(findings, [
    {
      severity: "error",
      object: "Node node-b",
      message:
        "the Service rules of node-b are older than the cluster, and stay so until a change succeeds: " +
        "nft failed: Device or resource busy",
      mend: "it is tried again every few seconds; mend what the message names, and look at inroad doctor",
    },
  ]);
});
