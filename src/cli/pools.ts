/** `loadBalancer.pools` of the configuration file. */
import { poolProblem } from "#cluster";
import type { AddressPool, IpFamily } from "#model";
import { isRecord, isStrings, unknownField } from "./yaml-shapes.ts";

const poolFields = ["name", "addresses", "autoAssign"];
/** Of all pools together: each becomes routes and rules. */
const MAX_RANGES = 64;

/**
 * @param families of the cluster, the primary one first
 * @param fail makes the error for what is wrong
 */
export function parsePools(
  value: unknown,
  families: readonly IpFamily[],
  fail: (message: string) => Error,
): AddressPool[] {
  if (!Array.isArray(value)) throw fail("loadBalancer.pools is not a list");
  const pools = value.map((entry: unknown, index) => parsePool(entry, `loadBalancer.pools[${index}]`, fail));
  const ranges = pools.reduce((sum, { addresses }) => sum + addresses.length, 0);
  if (ranges > MAX_RANGES) throw fail(`loadBalancer.pools has more than ${MAX_RANGES} networks and ranges`);
  const problem = poolProblem(pools, families);
  if (problem !== undefined) throw fail(`loadBalancer.${problem}`);
  return pools;
}

function parsePool(entry: unknown, at: string, fail: (message: string) => Error): AddressPool {
  if (!isRecord(entry)) throw fail(`${at} is not a map`);
  const unknown = unknownField(entry, poolFields);
  if (unknown !== undefined) throw fail(`${at}: unknown field "${unknown}"`);
  const { name, addresses, autoAssign = true } = entry;
  if (typeof name !== "string" || !/^[a-z0-9](?:[-.a-z0-9]{0,61}[a-z0-9])?$/.test(name)) {
    throw fail(`${at}.name must be of lower-case letters, digits, '-' and '.', at most 63`);
  }
  if (!isStrings(addresses) || addresses.length === 0) {
    throw fail(`${at}.addresses must be a list of networks and ranges`);
  }
  if (typeof autoAssign !== "boolean") throw fail(`${at}.autoAssign must be true or false`);
  return { name, addresses, autoAssign };
}
