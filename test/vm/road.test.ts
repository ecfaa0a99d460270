/** The product as a whole, where the kernel has IPVS: in the virtual machine. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { createCli, succeeded } from "../support/cli.ts";

const cli = createCli();
after(() => cli.close("ipvs"));

test("the doctor finds IPVS", async () => {
  assert.match(succeeded(await cli("doctor")), /^ok +IPVS: works$/m);
});

test("the example answers in mode ipvs: every request, evenly, by the way that the trace predicts", async () => {
  const url = "https://api.hadywafa.com/";
  const options = ["--name", "ipvs", "--proxy-mode", "ipvs", "--publish", "none", "--show", url, "--once"];
  const shown = succeeded(await cli("up", "-f", "examples/hadywafa", ...options));
  assert.match(shown, /proxy node-[ab] \(ipvs\)/);
});
