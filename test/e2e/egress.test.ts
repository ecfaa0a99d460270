/** Pods reach the host's networks; they do not reach the host's loopback, and a name that an Ingress owns stays inside. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { networkInterfaces } from "node:os";
import { after, before, describe, test } from "node:test";
import { createCli, succeeded } from "../support/cli.ts";

const hostAddress = Object.values(networkInterfaces())
  .flatMap((list) => list ?? [])
  .find(({ family, internal }) => family === "IPv4" && !internal)?.address;

const skip = hostAddress === undefined ? "this machine has no network beyond its loopback" : false;

describe("the way out", { skip, timeout: 90_000 }, () => {
  const name = "egress";
  const cli = createCli();
  const servers: Server[] = [];
  let pod = "";
  const serve = async (address: string): Promise<string> => {
    const server = createServer((_, response) => response.end("the world outside"));
    servers.push(server.listen(0, address));
    await once(server, "listening");
    const at = server.address();
    return `http://${address}:${typeof at === "object" ? at?.port : 0}/`;
  };
  const fromPod = (...command: readonly string[]) =>
    cli("exec", "--name", name, "--from", `pod/default/${pod}`, "--", ...command);

  before(async () => {
    succeeded(await cli("up", "--name", name, "-f", "examples/hadywafa", "--publish", "none", "--detach"));
    const { pods }: { pods: { name: string }[] } = JSON.parse(
      succeeded(await cli("status", "--name", name, "-o", "json")),
    );
    pod = pods.find((entry) => entry.name.startsWith("api-"))?.name ?? "";
  });
  after(async () => {
    for (const server of servers) server.close();
    await cli.close(name);
  });

  test("a pod reaches a server on the host's network", async () => {
    const url = await serve(hostAddress ?? "");
    assert.equal(succeeded(await fromPod("curl", "-sS", "--max-time", "5", url)), "the world outside");
  });

  test("a pod does not reach a server on the host's loopback", async () => {
    const url = await serve("127.0.0.1");
    assert.notEqual((await fromPod("curl", "-s", "--max-time", "2", url)).code, 0);
  });

  test("a name that an Ingress owns is answered with the load balancer's address, not asked outside", async () => {
    const answer = succeeded(await fromPod("getent", "hosts", "api.hadywafa.com"));
    assert.match(answer, /^203\.0\.113\.128 /);
  });

  test("what no pod and no Service has does not leave the cluster", async () => {
    const curl = async (url: string) => (await fromPod("curl", "-s", "--max-time", "2", url)).code;
    assert.equal(await curl("http://10.244.9.9/"), 7, "unreachable at once");
    // As kube-proxy does it: an address of the Services' network that no Service has is dropped.
    assert.equal(await curl("http://10.96.200.200/"), 28, "no answer in time");
  });
});
