/** What load-balancer addresses a Service is to have: one of each of its families, asked for or of the pools' choice. Pure. */
import { isInRange, parseRange, type AddressRange } from "#lib/ip-range";
import { canonicalAddress, familyOf, type IpFamily } from "#lib/ip";
import { addressRequest, type AddressPool } from "#model";
import type { Service } from "./objects.ts";

export interface AddressProblem {
  readonly reason:
    | "AddressInUse"
    | "AddressInvalid"
    | "AddressNotInPool"
    | "AddressPoolExhausted"
    | "NotShareable"
    | "UnknownPool";
  /** What, where, and what to do. */
  readonly message: string;
}

export interface Pool extends AddressPool {
  readonly ranges: readonly AddressRange[];
}

/** A Service's wish for one address. */
export interface Claim {
  readonly service: Service;
  readonly family: IpFamily;
  /** The address that it must be, and the field that says so. */
  readonly wanted?: { readonly address: string; readonly where: string };
  /** Pools that the address may be of. */
  readonly within: readonly Pool[];
  /** Pools to choose from where none is wanted. */
  readonly choice: readonly Pool[];
  readonly sharingKey?: string;
}

export interface Demand {
  readonly service: Service;
  /** None if there are problems. */
  readonly claims: readonly Claim[];
  readonly problems: readonly AddressProblem[];
}

export function readPool(pool: AddressPool): Pool {
  return { ...pool, ranges: pool.addresses.flatMap((text) => parseRange(text) ?? []) };
}

export function isOf(pool: Pool, address: string): boolean {
  return pool.ranges.some((range) => isInRange(address, range));
}

/** What the Service asks for by its families, its loadBalancerIP and its annotations; a request that cannot be met is a problem. */
export function demandOf(service: Service, pools: readonly Pool[]): Demand {
  const request = addressRequest(service);
  const named = pools.filter(({ name }) => name === request.pool);
  if (request.pool !== undefined && named.length === 0) {
    return { service, claims: [], problems: [unknownPool(request.pool, pools)] };
  }
  const within = request.pool === undefined ? pools : named;
  const choice = request.pool === undefined ? pools.filter(({ autoAssign }) => autoAssign) : named;
  const families = familiesOf(service);
  const problems = request.addresses.flatMap((one) => problemOf(one, within, families) ?? []);
  const wanted = request.addresses.map(({ text, where }) => ({
    address: canonicalAddress(text) ?? text,
    where,
  }));
  problems.push(...conflicts(wanted));
  if (problems.length > 0) return { service, claims: [], problems };
  const claims = families.map((family): Claim => {
    const own = wanted.find(({ address }) => familyOf(address) === family);
    return {
      ...{ service, family, within, choice },
      ...(own === undefined ? {} : { wanted: own }),
      ...(request.sharingKey === undefined ? {} : { sharingKey: request.sharingKey }),
    };
  });
  return { service, claims, problems };
}

function familiesOf(service: Service): readonly IpFamily[] {
  const families = (service.spec?.ipFamilies ?? []).filter((one) => one === "IPv4" || one === "IPv6");
  return families.length === 0 ? ["IPv4"] : families;
}

function problemOf(
  { text, where }: { readonly text: string; readonly where: string },
  within: readonly Pool[],
  families: readonly IpFamily[],
): AddressProblem | undefined {
  const address = canonicalAddress(text);
  if (address === undefined) {
    const message = `${where}: "${text}" is no address; write one address, or one of each family with a comma between them`;
    return { reason: "AddressInvalid", message };
  }
  if (!families.includes(familyOf(address))) {
    const message = `${where}: the Service has no ${familyOf(address)} for ${address}; ask for an address of ${families.join(" and ")}, or change spec.ipFamilies`;
    return { reason: "AddressInvalid", message };
  }
  if (within.some((pool) => isOf(pool, address))) return undefined;
  const message = `${where}: ${address} is not in the pool${within.length === 1 ? "" : "s"} ${poolsText(within)}; ask for one that is, or for none`;
  return { reason: "AddressNotInPool", message };
}

/** More than one address of a family: two fields that disagree, or a list with too many. */
function conflicts(
  wanted: readonly { readonly address: string; readonly where: string }[],
): AddressProblem[] {
  const [first, ...others] = wanted;
  const other = others.find(
    ({ address }) => first && familyOf(address) === familyOf(first.address) && address !== first.address,
  );
  if (first === undefined) return [];
  if (other === undefined) return conflicts(others);
  const message = `${first.where} asks for ${first.address}, ${other.where} for ${other.address}; ask for one address of each family`;
  return [{ reason: "AddressInvalid", message }];
}

function unknownPool(name: string, pools: readonly Pool[]): AddressProblem {
  const message = `there is no address pool ${name}; write one of ${poolsText(pools)} in the annotation address-pool, or add the pool to loadBalancer.pools of the configuration file`;
  return { reason: "UnknownPool", message };
}

/** `default (203.0.113.128/25)`, for people; only addresses of a family if one is given. */
export function poolsText(pools: readonly Pool[], family?: IpFamily): string {
  return pools
    .flatMap(({ name, addresses, ranges }) => {
      const texts = addresses.filter((_, i) => family === undefined || ranges[i]?.family === family);
      return texts.length === 0 ? [] : [`${name} (${texts.join(", ")})`];
    })
    .join(", ");
}
