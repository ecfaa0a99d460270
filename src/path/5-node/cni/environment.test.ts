import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { isContainerID, isInterfaceName, readRequest } from "./environment.ts";
import { CniError } from "./error.ts";

const add = { CNI_COMMAND: "ADD", CNI_CONTAINERID: "c1", CNI_IFNAME: "eth0", CNI_NETNS: "/run/netns/c1" };

test("an attachment is known by container and interface; DEL needs no namespace, the network's commands nothing", () => {
  const attachment = { containerID: "c1", ifname: "eth0" };
  assert.deepEqual(readRequest(add), { command: "ADD", attachment, netns: "/run/netns/c1" });
  assert.deepEqual(readRequest({ ...add, CNI_COMMAND: "DEL", CNI_NETNS: "" }), {
    command: "DEL",
    attachment,
  });
  for (const command of ["VERSION", "STATUS", "GC"] as const)
    assert.deepEqual(readRequest({ CNI_COMMAND: command }), { command });
});

test("all wrong variables are named at once", () => {
  const wrong = { CNI_COMMAND: "ADD", CNI_CONTAINERID: "-c", CNI_IFNAME: "a/b" };
  assert.throws(() => readRequest(wrong), {
    kind: "badEnvironment",
    message: "invalid environment: CNI_CONTAINERID, CNI_IFNAME, CNI_NETNS",
  });
  for (const command of [undefined, "", "add", "UPDATE"])
    assert.throws(() => readRequest({ ...add, CNI_COMMAND: command }), /CNI_COMMAND/);
});

test("interface names are those that the kernel takes as they are", () => {
  for (const name of ["eth0", "a", "eth0.100", "fifteen-letters"]) assert.ok(isInterfaceName(name), name);
  for (const name of [
    "",
    ".",
    "..",
    "a b",
    "a/b",
    "a:1",
    "eth%d",
    "all",
    "default",
    "sixteen-letters-",
    "é\u0301éééééé",
    "a\n",
  ])
    assert.ok(!isInterfaceName(name), name);
});

test("an argument that wants something is refused, unless it may be ignored", () => {
  const withArguments = (text: string) => () => readRequest({ ...add, CNI_ARGS: text });
  assert.doesNotThrow(withArguments("K8S_POD_NAMESPACE=default;K8S_POD_NAME=api-1"));
  assert.doesNotThrow(withArguments("IgnoreUnknown=1;IP=10.0.0.9"));
  assert.throws(withArguments("IP=10.0.0.9"), /CNI_ARGS \(IP\)/);
  assert.throws(withArguments("no pair"), /CNI_ARGS/);
});

test("whatever the environment is, it is understood or refused as such; names are one part of a path", () => {
  const text = fc.oneof(
    fc.string(),
    fc.constantFrom("ADD", "DEL", "CHECK", "GC", "eth0", "/proc/1/ns/net", "A=B;C"),
  );
  const variables = fc.record({
    CNI_COMMAND: text,
    CNI_CONTAINERID: text,
    CNI_IFNAME: text,
    CNI_NETNS: text,
    CNI_ARGS: text,
  });
  fc.assert(
    fc.property(variables, (environment) => {
      try {
        const request = readRequest(environment);
        if (!("attachment" in request)) return true;
        const { containerID, ifname } = request.attachment;
        return [containerID, ifname].every((name) => !/[\s/]/.test(name) && name !== "..");
      } catch (error) {
        return error instanceof CniError && error.kind === "badEnvironment";
      }
    }),
  );
  assert.ok(!isContainerID("../x") && !isContainerID("..") && !isContainerID("a\n"));
});
