/**
 * `inroad.yaml`: what a cluster is given besides manifests: local commands that stand for containers, and pools of load-balancer addresses.
 * It is read from the working directory or --config, never from a directory of manifests: manifests run nothing.
 */
import { existsSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { parse } from "yaml";
import { defaultPools } from "#cluster";
import { InroadError, messageOf } from "#lib/errors";
import type { AddressPool, IpFamily } from "#model";
import type { CommandMapping } from "#path/pod";
import { parseMappings } from "./mappings.ts";
import { parsePools } from "./pools.ts";
import { isRecord, unknownField } from "./yaml-shapes.ts";

export interface ConfigFile {
  readonly commands: readonly CommandMapping[];
  readonly addressPools: readonly AddressPool[];
}

const defaultFile = "inroad.yaml";
const expected =
  "expected: commands: [{image: NAME, command: [PROGRAM, ARG...], cwd?: DIR, env?: {NAME: VALUE}}], " +
  "loadBalancer: {pools: [{name: NAME, addresses: [NETWORK or FIRST-LAST], autoAssign?: BOOLEAN}]}; both may be left out";

/**
 * What a file says; the defaults when no file is named and ./inroad.yaml does not exist.
 * @param families of the cluster, the primary one first
 * @throws InroadError `InvalidConfig`
 */
export function loadConfigFile(file: string | undefined, families: readonly IpFamily[]): ConfigFile {
  const path = file ?? defaultFile;
  if (file === undefined && !existsSync(path)) return parseConfig({}, path, families);
  let document: unknown;
  try {
    document = parse(readFileSync(path, "utf8"), { maxAliasCount: 0 });
  } catch (error) {
    throw invalid(path)(messageOf(error));
  }
  return parseConfig(document ?? {}, path, families);
}

function parseConfig(document: unknown, path: string, families: readonly IpFamily[]): ConfigFile {
  const fail = invalid(path);
  if (!isRecord(document)) throw fail("it is not a map");
  const { commands = [], loadBalancer = {} } = document;
  if (!isRecord(loadBalancer)) throw fail("loadBalancer is not a map");
  const unknown =
    unknownField(document, ["commands", "loadBalancer"]) ?? unknownField(loadBalancer, ["pools"]);
  if (unknown !== undefined) throw fail(`unknown field "${unknown}"`);
  const { pools } = loadBalancer;
  return {
    commands: parseMappings(commands, dirname(path), fail),
    addressPools: pools === undefined ? defaultPools(families) : parsePools(pools, families, fail),
  };
}

function invalid(path: string): (message: string) => InroadError {
  return (message) => new InroadError("InvalidConfig", message, { where: path, mend: expected });
}
