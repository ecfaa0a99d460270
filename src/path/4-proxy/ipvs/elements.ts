/** The elements of a family's table: pure, from a plan and the marks of its lists. */
import { familyOf, isInside } from "#lib/ip";
import type { IpFamily } from "#model";
import { addressKey } from "../plan.ts";
import type { ProxyPlan, Target, VirtualAddress } from "../plan.ts";
import { frameScript } from "./frame.ts";
import { tableOf } from "./names.ts";

/** By set or map, then by key; a set's values are empty. */
export type Elements = ReadonlyMap<string, ReadonlyMap<string, string>>;

type Put = (set: string, key: string, value?: string) => void;

/** What a plan puts into the table of a family; empty if no Service has addresses of it. */
export function elementsFor(plan: ProxyPlan, family: IpFamily, marks: ReadonlyMap<string, number>): Elements {
  const elements = new Map<string, Map<string, string>>();
  const put: Put = (set, key, value = "") => {
    const entries = elements.get(set) ?? new Map<string, string>();
    elements.set(set, entries.set(key, value));
  };
  const addresses = [...plan.addresses.values()].filter((at) => familyOf(at.address) === family);
  const networks = plan.serviceNetworks.filter((network) => familyOf(network) === family);
  if (addresses.length === 0 && networks.length === 0) return elements;
  for (const network of networks) put("service-networks", network);
  for (const network of plan.podNetworks) if (familyOf(network) === family) put("pod-networks", network);
  for (const address of plan.hairpin) {
    if (familyOf(address) === family) put("hairpin", `${address} . ${address}`);
  }
  for (const at of addresses) putAddress(put, at, marks);
  for (const at of addresses) if (isOnDevice(plan, at)) put("service-ips", at.address);
  return elements;
}

/** The elements of one address; MARK stands for marks that are not known. */
export function putAddress(
  put: Put,
  at: VirtualAddress,
  marks: ReadonlyMap<string, number> = new Map(),
): void {
  const key = addressKey(at);
  const putTarget = (target: Target, inside: "" | "-inside"): void => {
    if (target.kind !== "list")
      return put(`refused${inside}`, key, target.kind === "drop" ? "drop" : "goto reject-it");
    const mark = markText(marks.get(target.list));
    put(`marks${inside}`, key, mark);
    put(`masquerade-${at.masquerade}`, `${at.address} . ${mark}`);
  };
  putTarget(at.target, "");
  if (at.inside !== undefined) putTarget(at.inside, "-inside");
  if (at.sourceRanges === undefined) return;
  put("restricted", key);
  for (const range of at.sourceRanges) put("source-ranges", `${key} . ${range}`);
}

/**
 * Whether the dummy device has the address: any but those of nodes. Some load balancers say that they have the addresses of the
 * nodes; a node must neither lose its own nor take those of others.
 */
export function isOnDevice(plan: ProxyPlan, { address }: Pick<VirtualAddress, "address">): boolean {
  return !plan.nodeAddresses.includes(address);
}

/** What becomes of a packet for no Service port: refused at addresses of Services, dropped where an address could be one. */
export function refusedByIpvs(
  plan: ProxyPlan,
  address: string,
): { readonly action: "reject" | "drop"; readonly rule: string } | undefined {
  const ip = familyOf(address) === "IPv6" ? "ip6" : "ip";
  const here = [...plan.addresses.values()].filter((at) => at.address === address);
  if (here.some((at) => isOnDevice(plan, at))) {
    return { action: "reject", rule: `outside: ${ip} daddr @service-ips goto reject-it` };
  }
  return plan.serviceNetworks.some((network) => isInside(address, network))
    ? { action: "drop", rule: `outside: ${ip} daddr @service-networks drop` }
    : undefined;
}

function markText(mark: number | undefined): string {
  return mark === undefined ? "MARK" : `0x${mark.toString(16)}`;
}

/** One transaction that turns `before` (undefined: whatever is there) into `after`; empty if nothing changes. */
export function changeScript(family: IpFamily, before: Elements | undefined, after: Elements): string {
  const lines = [
    ...elementLines("delete", family, before ?? new Map(), after, (key) => key),
    ...elementLines("add", family, after, before ?? new Map(), (key, value) =>
      value === "" ? key : `${key} : ${value}`,
    ),
  ];
  return [...(before === undefined ? [frameScript(family)] : []), ...lines].join("\n");
}

/** Lines for what `some` has and `others` has not, or not with this value. */
function elementLines(
  verb: "add" | "delete",
  family: IpFamily,
  some: Elements,
  others: Elements,
  write: (key: string, value: string) => string,
): readonly string[] {
  return [...some].flatMap(([set, entries]) => {
    const known = others.get(set);
    const changed = [...entries].filter(([key, value]) => known?.get(key) !== value);
    if (changed.length === 0) return [];
    return [
      `${verb} element ${tableOf(family)} ${set} { ${changed.map((entry) => write(...entry)).join(", ")} }`,
    ];
  });
}
