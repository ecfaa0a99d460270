import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { InroadError } from "#lib/errors";
import { loadConfigFile } from "./config-file.ts";

const folder = mkdtempSync(join(tmpdir(), "inroad-config-"));
after(() => rmSync(folder, { recursive: true }));
const file = join(folder, "inroad.yaml");

function load(text: string) {
  writeFileSync(file, text);
  return loadConfigFile(file, ["IPv4"]);
}

/** The message with which a text is refused. */
function refusal(text: string): string {
  try {
    load(text);
  } catch (error) {
    assert.ok(error instanceof InroadError);
    assert.deepEqual([error.code, error.where, error.exitStatus], ["InvalidConfig", file, 2]);
    assert.match(error.mend ?? "", /^expected: commands: .*loadBalancer: /);
    return error.message;
  }
  return assert.fail(`not refused: ${text}`);
}

const defaults = [{ name: "default", addresses: ["203.0.113.128/25"], autoAssign: true }];

test("an empty file is the defaults", () => {
  assert.deepEqual(load(""), { commands: [], addressPools: defaults });
});

test("commands run in the file's folder, or in one relative to it", () => {
  const { commands, addressPools } = load(
    "commands: [{image: a, command: [node, x.js]}, {image: b, command: [sh], cwd: sub, env: {A: b}}]",
  );
  assert.deepEqual(commands, [
    { image: "a", command: "node", args: ["x.js"], cwd: folder },
    { image: "b", command: "sh", args: [], cwd: join(folder, "sub"), env: { A: "b" } },
  ]);
  assert.deepEqual(addressPools, defaults);
});

test("pools are given out unasked unless they say otherwise", () => {
  const pools =
    "[{name: a, addresses: [192.0.2.0/24]}, {name: b, addresses: [10.1.0.1-10.1.0.9], autoAssign: false}]";
  assert.deepEqual(load(`loadBalancer: {pools: ${pools}}`).addressPools, [
    { name: "a", addresses: ["192.0.2.0/24"], autoAssign: true },
    { name: "b", addresses: ["10.1.0.1-10.1.0.9"], autoAssign: false },
  ]);
});

const pools = (text: string): string => `loadBalancer: {pools: ${text}}`;
const ranges = Array.from({ length: 65 }, (_, i) => `10.1.${i}.0/24`);
const refused: readonly [text: string, message: string | RegExp][] = [
  ["[]", "it is not a map"],
  ["a: {", /./],
  ["pools: []", 'unknown field "pools"'],
  ["commands: {}", "commands is not a list"],
  ["commands: [{image: a}]", "commands[0].command must be a list of strings"],
  ["commands: [{image: a, command: [b], shell: c}]", 'commands[0]: unknown field "shell"'],
  ["loadBalancer: []", "loadBalancer is not a map"],
  ["loadBalancer: {pool: []}", 'unknown field "pool"'],
  [pools("{}"), "loadBalancer.pools is not a list"],
  [pools("[a]"), "loadBalancer.pools[0] is not a map"],
  [
    pools("[{name: a, addresses: [192.0.2.0/24], auto: true}]"),
    'loadBalancer.pools[0]: unknown field "auto"',
  ],
  [pools("[{name: A b, addresses: [192.0.2.0/24]}]"), /^loadBalancer\.pools\[0\]\.name must be/],
  [pools("[{name: a, addresses: []}]"), /^loadBalancer\.pools\[0\]\.addresses must be/],
  [pools("[{name: a, addresses: [1]}]"), /^loadBalancer\.pools\[0\]\.addresses must be/],
  [
    pools("[{name: a, addresses: [192.0.2.0/24], autoAssign: yes please}]"),
    "loadBalancer.pools[0].autoAssign must be true or false",
  ],
  [pools("[{name: a, addresses: [10.96.0.0/24]}]"), /^loadBalancer\.pools\[0\]\.addresses\[0\]: .* overlaps/],
  [
    pools(`[{name: a, addresses: [${ranges.join()}]}]`),
    "loadBalancer.pools has more than 64 networks and ranges",
  ],
];
for (const [text, message] of refused) {
  test(`refused: ${text.slice(0, 80)}`, () => {
    const said = refusal(text);
    if (typeof message === "string") assert.equal(said, message);
    else assert.match(said, message);
  });
}
