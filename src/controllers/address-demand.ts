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
  const wanted = request.addresses.map(({ text, where }) => ({
    address: canonicalAddress(text) ?? text,
    where,
  }));
  const problem = tooMany(request.addresses) ?? firstProblem(wanted, within, families) ?? conflict(wanted);
  if (problem !== undefined) return { service, claims: [], problems: [problem] };
  const claims = families.map((family): Claim => {
    const own = wanted.find(({ address }) => familyOf(address) === family);
    return {
      ...{ service, family, within, choice },
      ...(own === undefined ? {} : { wanted: own }),
      ...(request.sharingKey === undefined ? {} : { sharingKey: request.sharingKey }),
    };
  });
  return { service, claims, problems: [] };
}

/** The addresses that the Service's status shows, as they are usually written. */
export function addressesOf(service: Service): string[] {
  const entries = service.status?.loadBalancer?.ingress ?? [];
  return entries.flatMap(({ ip = "" }) => canonicalAddress(ip) ?? []);
}

function familiesOf(service: Service): readonly IpFamily[] {
  const families = (service.spec?.ipFamilies ?? []).filter((one) => one === "IPv4" || one === "IPv6");
  return families.length === 0 ? ["IPv4"] : families;
}

interface Wanted {
  readonly address: string;
  readonly where: string;
}

/** The field and the annotation can each ask for one address of each family. */
const MAX_ADDRESSES = 4;

function tooMany(wanted: readonly unknown[]): AddressProblem | undefined {
  if (wanted.length <= MAX_ADDRESSES) return undefined;
  const message = `${wanted.length} addresses are asked for; ask for one of each family`;
  return { reason: "AddressInvalid", message };
}

function firstProblem(
  wanted: readonly Wanted[],
  within: readonly Pool[],
  families: readonly IpFamily[],
): AddressProblem | undefined {
  for (const one of wanted) {
    const problem = problemOf(one, within, families);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function problemOf(
  { address, where }: Wanted,
  within: readonly Pool[],
  families: readonly IpFamily[],
): AddressProblem | undefined {
  if (canonicalAddress(address) === undefined) {
    const message = `${where}: "${shortened(address)}" is no address; write one address, or one of each family with a comma between them`;
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
function conflict(wanted: readonly Wanted[]): AddressProblem | undefined {
  for (const [index, one] of wanted.entries()) {
    const other = wanted
      .slice(index + 1)
      .find(({ address }) => familyOf(address) === familyOf(one.address) && address !== one.address);
    if (other === undefined) continue;
    const message = `${one.where} asks for ${one.address}, ${other.where} for ${other.address}; ask for one address of each family`;
    return { reason: "AddressInvalid", message };
  }
  return undefined;
}

/** Texts of annotations may be as long as people like. */
function shortened(text: string): string {
  return text.length <= 64 ? text : `${text.slice(0, 63)}…`;
}

function unknownPool(name: string, pools: readonly Pool[]): AddressProblem {
  const message = `there is no address pool ${shortened(name)}; write one of ${poolsText(pools)} in the annotation address-pool, or add the pool to loadBalancer.pools of the configuration file`;
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
