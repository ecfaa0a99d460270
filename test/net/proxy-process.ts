/** A proxy as a process of its own, to be killed: argv is the mode, each line of stdin the Services to put in force. */
import { createInterface } from "node:readline";
import { silentLog } from "#lib/log";
import { startProxy } from "#path/proxy";
import { settableSource, testSnapshot } from "../../src/path/4-proxy/testing.ts";
import type { TestService } from "../../src/path/4-proxy/testing.ts";
import { labModes } from "./proxy-lab.ts";
import type { LabMode } from "./proxy-lab.ts";

const mode = (process.argv[2] ?? "nftables") as LabMode;
const source = settableSource(testSnapshot());
let proxy: ReturnType<typeof startProxy> | undefined;

for await (const line of createInterface({ input: process.stdin })) {
  const snapshot = testSnapshot(...(JSON.parse(line) as TestService[]));
  source.set(snapshot);
  proxy ??= startProxy({ source, node: "node-a", netns: undefined, log: silentLog, ...labModes[mode] });
  await proxy.programmed(snapshot);
  process.stdout.write("programmed\n");
}
