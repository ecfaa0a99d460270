import { test } from "node:test";
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { planProxy } from "../plan.ts";
import type { EndpointList } from "../plan.ts";
import { testSnapshot } from "../testing.ts";
import type { TestService } from "../testing.ts";
import {
  changeOf,
  parseSaved,
  sameServers,
  serverFor,
  serverNames,
  serversFor,
  withDraining,
  withoutIdle,
  withoutInsideAffinity,
} from "./servers.ts";
import type { VirtualServers } from "./servers.ts";

/** Own marks, of their protocols. */
const [tcpMark, udpMark, sixMark] = [0x40000001, 0x41000001, 0x40000007];
const TCP = `-f ${tcpMark}`;
const UDP = `-f ${udpMark}`;
const [a, b, c] = ["10.244.0.2:8080", "10.244.0.3:8080", "10.244.1.2:8080"];

function servers(name: string, ...reals: readonly string[]): VirtualServers {
  const weights = new Map(reals.map((real) => [real, 1] as const));
  return new Map([[name, { options: "-s rr", weights }]]);
}

function sticky(real: string): VirtualServers {
  return new Map([["-u [fd00::7]:53", { options: "-s rr -p 600 -b flag-3", weights: new Map([[real, 1]]) }]]);
}

/** The text that ipvsadm would save after these lines, the newest real server first. */
function save(all: VirtualServers): string {
  return [...all]
    .flatMap(([name, { options, weights }]) => [
      `-A ${name} ${options}`,
      ...[...weights].map(([real, weight]) => `-a ${name} -r ${real} -m -w ${weight}`),
    ])
    .join("\n");
}

const list: EndpointList = {
  key: "default/api:http/TCP",
  family: "IPv4",
  protocol: "TCP",
  scheduler: "sh",
  slots: [{ address: "10.244.0.2", port: 8080 }],
};

test("a list is one virtual server, by mark", () => {
  const plan = { addresses: new Map() };
  assert.deepEqual(serverNames(plan, list, 7), ["-f 7"]);
  assert.deepEqual(serverNames(plan, { ...list, family: "IPv6" }, 7), ["-f 7 -6"]);
  const six = { ...list, slots: [{ address: "fd00::2", port: 8080 }] };
  assert.deepEqual(serverFor(six), {
    options: "-s sh -b sh-fallback",
    weights: new Map([["[fd00::2]:8080", 1]]),
  });
});

const local: TestService = {
  name: "api",
  clusterIP: "10.96.0.7",
  type: "LoadBalancer",
  loadBalancerIP: "203.0.113.200",
  externalTrafficPolicy: "Local",
  affinitySeconds: 600,
  endpoints: [
    { address: "10.244.0.2", node: "node-a" },
    { address: "10.244.1.2", node: "node-b" },
  ],
};

test("with affinity it is one for each address; insiders whom policy Local does not bind have one by mark, without", () => {
  const plan = withoutInsideAffinity(planProxy(testSnapshot(local), "node-a"));
  const all = serversFor(plan, new Map([["default/api:http/TCP inside", 7]]));
  assert.deepEqual(
    new Map([...all].map(([name, { options, weights }]) => [name, `${options}, ${weights.size}`])),
    new Map([
      ["-t 10.96.0.7:80", "-s rr -p 600 -b flag-3, 2"],
      ["-t 203.0.113.200:80", "-s rr -p 600 -b flag-3, 1"],
      ["-f 7", "-s rr, 2"],
    ]),
  );
});

test("the kernel puts each new real server first: so the first in turn is added last", () => {
  const { grow, shrink } = changeOf(new Map(), servers(TCP, a, b));
  assert.deepEqual(grow, [`-A ${TCP} -s rr`, `-a ${TCP} -r ${b} -m -w 1`, `-a ${TCP} -r ${a} -m -w 1`]);
  assert.deepEqual(shrink, []);
});

test("an endpoint that is gone gets no new connections and leaves when it has none", () => {
  const before = servers(TCP, a, b);
  const after = withDraining(before, servers(TCP, b, c));
  assert.deepEqual(changeOf(before, after), {
    grow: [`-a ${TCP} -r ${c} -m -w 1`],
    shrink: [`-e ${TCP} -r ${a} -m -w 0`],
  });
  const listing = (active: number): string =>
    `FWM  ${tcpMark} rr\n  -> ${a}   Masq    0      ${active}      0    \n  -> ${b}   Masq    1   0   0   \n`;
  assert.ok(sameServers(withoutIdle(after, listing(1)), after));
  assert.deepEqual(changeOf(after, withoutIdle(after, listing(0))).shrink, [`-d ${TCP} -r ${a}`]);
});

test("an endpoint that comes back while it drains has its place again", () => {
  const draining = withDraining(servers(TCP, a, b), servers(TCP, b));
  assert.deepEqual(changeOf(draining, withDraining(draining, servers(TCP, a, b))), {
    grow: [`-e ${TCP} -r ${a} -m -w 1`],
    shrink: [],
  });
});

test("a server without endpoints stays until the last connection has ended", () => {
  const draining = withDraining(servers(TCP, a), new Map());
  assert.deepEqual(draining.get(TCP)?.weights, new Map([[a, 0]]));
  const left = withoutIdle(draining, `FWM  ${tcpMark} rr\n  -> ${a}   Masq    0      0      0\n`);
  assert.deepEqual(changeOf(draining, left).shrink, [`-D ${TCP}`]);
});

test("an endpoint of UDP leaves at once", () => {
  const before = servers(UDP, a, b);
  assert.deepEqual(changeOf(before, withDraining(before, servers(UDP, b))).shrink, [`-d ${UDP} -r ${a}`]);
  assert.deepEqual(changeOf(before, withDraining(before, new Map())).shrink, [`-D ${UDP}`]);
});

test("virtual servers of others are not seen", () => {
  const foreign = "-A -t 192.0.2.1:80 -s wlc\n-a -t 192.0.2.1:80 -r 192.0.2.2:80 -m -w 1\n-A -f 7 -s rr\n";
  const own = new Map([...servers(TCP, a), ...sticky(a)]);
  assert.deepEqual(parseSaved(foreign + save(own)), own);
});

test("any change leads from what was saved to what is wanted", () => {
  const real = fc.constantFrom(a, b, c, "[fd00::2]:53");
  const some = fc
    .dictionary(
      fc.constantFrom(TCP, UDP, `-f ${sixMark} -6`),
      fc.dictionary(real, fc.integer({ min: 0, max: 3 })),
    )
    .map((all): VirtualServers => {
      const one = (weights: Record<string, number>) => new Map(Object.entries(weights));
      return new Map(
        Object.entries(all).map(([name, weights]) => [name, { options: "-s rr", weights: one(weights) }]),
      );
    });
  fc.assert(
    fc.property(some, some, (before, after) => {
      const { grow, shrink } = changeOf(parseSaved(save(before)), after);
      assert.ok(sameServers(carriedOut(before, [...grow, ...shrink]), after));
    }),
  );
});

/** What the kernel has after these lines; any line that it would refuse fails. */
function carriedOut(before: VirtualServers, lines: readonly string[]): VirtualServers {
  const all = new Map(
    [...before].map(([name, server]) => [name, { ...server, weights: new Map(server.weights) }]),
  );
  for (const line of lines) {
    const [, verb, name = "", real = "", weight] =
      /^-(\w) (-f \d+(?: -6)?)(?: -r (\S+))?(?:.* -w (\d+))?/.exec(line) ?? [];
    const server = all.get(name);
    assert.equal(server !== undefined, verb !== "A", line);
    if (verb === "A") all.set(name, { options: "-s rr", weights: new Map() });
    if (verb === "D") all.delete(name);
    if (verb === "d") assert.ok(server?.weights.delete(real), line);
    if (verb === "a" || verb === "e") {
      assert.equal(server?.weights.has(real), verb === "e", line);
      server?.weights.set(real, Number(weight));
    }
  }
  return all;
}

test("whatever ipvsadm may print is read without an error", () => {
  const line = fc.constantFrom(
    "-A -f 1073741825 -s rr",
    "-a -f 1073741825 -r x -w",
    "FWM  1073741825 rr",
    "  -> a Masq 0 0 0",
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(line, fc.string())), (lines) => {
      withoutIdle(parseSaved(lines.join("\n")), lines.join("\n"));
    }),
  );
});
