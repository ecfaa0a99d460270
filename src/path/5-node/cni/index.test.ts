import assert from "node:assert/strict";
import { test } from "node:test";
import { runCni } from "./index.ts";

const environment = { CNI_CONTAINERID: "c1", CNI_IFNAME: "eth0", CNI_NETNS: "/run/netns/c1" };
const network = { cniVersion: "1.0.0", name: "pods", ipam: { type: "host-local", subnet: "10.244.0.0/24" } };

async function call(
  command: string,
  input: string | object,
): Promise<{ exitStatus: number; answer: unknown }> {
  const text = typeof input === "string" ? input : JSON.stringify(input);
  const { exitStatus, output } = await runCni({ ...environment, CNI_COMMAND: command }, () => text);
  return { exitStatus, answer: output === "" ? undefined : JSON.parse(output) };
}

test("VERSION needs the version in use only, and says it back", async () => {
  for (const cniVersion of ["1.1.0", "0.1.0", "9.0.0"]) {
    const supportedVersions = ["0.3.1", "0.4.0", "1.0.0", "1.1.0"];
    assert.deepEqual(await call("VERSION", { cniVersion }), {
      exitStatus: 0,
      answer: { cniVersion, supportedVersions },
    });
  }
});

test("an error has the version in use, its code, and what to do", async () => {
  assert.deepEqual(await call("ADD", { ...network, ipam: { type: "dhcp" } }), {
    exitStatus: 1,
    answer: { cniVersion: "1.0.0", code: 2, msg: 'unsupported field ipam.type: "dhcp"' },
  });
  assert.deepEqual(await call("STATUS", network), {
    exitStatus: 1,
    answer: {
      cniVersion: "1.0.0",
      code: 1,
      msg: 'STATUS of the configuration\'s cniVersion "1.0.0" is not supported',
      details: "set cniVersion to one of 1.1.0",
    },
  });
});

test("input that is none has the codes of the specification", async () => {
  const codeOf = async (command: string, input: string | object): Promise<unknown> =>
    Reflect.get(Object((await call(command, input)).answer), "code");
  assert.equal(await codeOf("ADD", "{"), 6);
  assert.equal(await codeOf("VERSION", {}), 6);
  assert.equal(await codeOf("NONE", network), 4);
  assert.equal(await codeOf("ADD", { ...network, cniVersion: "0.2.0" }), 1);
  assert.equal(await codeOf("DEL", { ...network, name: "../x" }), 7);
  assert.equal(await codeOf("CHECK", network), 7);
  const unread = await runCni({ ...environment, CNI_COMMAND: "ADD" }, () => {
    throw new Error("closed");
  });
  assert.equal(JSON.parse(unread.output).code, 5);
});

test("DEL of what was never added succeeds, whatever else the configuration says", async () => {
  const ipam = { type: "dhcp", dataDir: "/nonexistent" };
  assert.deepEqual(await call("DEL", { ...network, bridge: "cni0", ipam }), {
    exitStatus: 0,
    answer: undefined,
  });
});
