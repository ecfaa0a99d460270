/** Virtual servers in the words of `ipvsadm --save` and `--restore`: pure. */
import type { Protocol } from "#model";
import type { EndpointList, ProxyPlan, VirtualAddress } from "../plan.ts";
import { backendKey } from "../rotation.ts";
import type { Backend } from "../rotation.ts";
import { protocolOf } from "./names.ts";

export interface VirtualServer {
  /** `-s rr -p 10800` */
  readonly options: string;
  /** By `10.244.0.2:8080` or `[fd00::2]:8080`, in the order of their turns; 0: no new connections. */
  readonly weights: ReadonlyMap<string, number>;
}

/** By name: `-f 1073741825`, `-f 1073741825 -6`, `-t 10.96.0.7:80`. */
export type VirtualServers = ReadonlyMap<string, VirtualServer>;

/** A source hash meets whoever is next in the table when the endpoint of the hash takes no more connections. */
const FALLBACK = "sh-fallback";
/** Says nothing to these schedulers: it tells own virtual servers without a mark from those of others. */
const OWN = "flag-3";

const byAddress: Readonly<Record<string, Protocol>> = { "-t": "TCP", "-u": "UDP", "--sctp-service": "SCTP" };

/** The virtual servers that a plan asks for. */
export function serversFor(plan: ProxyPlan, marks: ReadonlyMap<string, number>): VirtualServers {
  return new Map(
    [...plan.lists.values()].flatMap((list) =>
      serverNames(plan, list, marks.get(list.key) ?? 0).map((name) => [name, serverFor(list)] as const),
    ),
  );
}

/**
 * A list is one virtual server, found by mark. With affinity it is one for each address: by mark, IPVS binds clients only to
 * endpoints that have the very port of the Service.
 */
export function serverNames(
  plan: Pick<ProxyPlan, "addresses">,
  list: EndpointList,
  mark: number | "MARK",
): readonly string[] {
  if (list.affinitySeconds === undefined) return [`-f ${mark}${list.family === "IPv6" ? " -6" : ""}`];
  const led = [...plan.addresses.values()].filter(
    ({ target }) => target.kind === "list" && target.list === list.key,
  );
  const flag = Object.keys(byAddress).find((key) => byAddress[key] === list.protocol);
  return led.map((at) => `${flag} ${endText(at)}`);
}

export function serverFor(list: EndpointList): VirtualServer {
  const affinity = list.affinitySeconds === undefined ? "" : ` -p ${list.affinitySeconds}`;
  const flags = [
    ...(list.scheduler === "sh" ? [FALLBACK] : []),
    ...(list.affinitySeconds === undefined ? [] : [OWN]),
  ];
  return {
    options: `-s ${list.scheduler}${affinity}${flags.length === 0 ? "" : ` -b ${flags.join(",")}`}`,
    weights: new Map(list.slots.map((end) => [endText(end), list.weights?.get(backendKey(end)) ?? 1])),
  };
}

function endText({ address, port }: Backend): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/**
 * The plan with lists of their own, without affinity, for pods and the node itself where policy Local binds outsiders to other
 * endpoints: the address, by which affinity is kept, leads to one list only.
 */
export function withoutInsideAffinity(plan: ProxyPlan): ProxyPlan {
  const lists = new Map(plan.lists);
  const addresses = [...plan.addresses].map(([key, at]): [string, VirtualAddress] => {
    const list = at.inside?.kind === "list" ? plan.lists.get(at.inside.list) : undefined;
    if (list?.affinitySeconds === undefined) return [key, at];
    const { affinitySeconds: _, ...rest } = list;
    const inside = { ...rest, key: `${list.key} inside` };
    lists.set(inside.key, inside);
    return [key, { ...at, inside: { kind: "list", list: inside.key } }];
  });
  return { ...plan, lists, addresses: new Map(addresses) };
}

/** Own virtual servers in what `ipvsadm --save --numeric` printed. */
export function parseSaved(text: string): VirtualServers {
  const servers = new Map<string, VirtualServer & { readonly weights: Map<string, number> }>();
  for (const line of text.split("\n")) {
    const [, verb, name = "", rest = ""] =
      /^-([Aa]) (-f \d+(?: -6)?|(?:-t|-u|--sctp-service) \S+) (.+)$/.exec(line) ?? [];
    if (verb === "A" && isOwn(name, rest)) servers.set(name, { options: rest, weights: new Map() });
    const [, real = "", weight = ""] = /^-r (\S+) .*-w (\d+)/.exec(rest) ?? [];
    if (verb === "a") servers.get(name)?.weights.set(real, Number(weight));
  }
  return servers;
}

function isOwn(name: string, options: string): boolean {
  const [flag = "", mark] = name.split(" ");
  return flag === "-f" ? protocolOf(Number(mark)) !== undefined : options.includes(OWN);
}

function protocolIn(name: string): Protocol | undefined {
  const [flag = "", mark] = name.split(" ");
  return byAddress[flag] ?? protocolOf(Number(mark));
}

/**
 * `wanted`, and what has to stay for connections that are under way: endpoints that are gone get no new connections and leave
 * when they have none. A flow of UDP has no end to wait for: its endpoint leaves at once.
 */
export function withDraining(before: VirtualServers, wanted: VirtualServers): VirtualServers {
  const after = new Map(wanted);
  for (const [name, server] of before) {
    if (protocolIn(name) === "UDP") continue;
    const now = wanted.get(name) ?? { ...server, weights: new Map<string, number>() };
    const draining = [...server.weights.keys()].filter((real) => !now.weights.has(real));
    const weights = new Map([...now.weights, ...draining.map((real) => [real, 0] as const)]);
    if (weights.size > 0) after.set(name, { ...now, weights });
  }
  return after;
}

/** What has become idle: `after` without those whose weight is 0 and which have no connections in `ipvsadm --list`. */
export function withoutIdle(after: VirtualServers, listing: string): VirtualServers {
  const idle = idleIn(listing);
  const kept = [...after].map(([name, server]) => {
    const weights = [...server.weights].filter(
      ([real, weight]) => weight > 0 || !idle.has(`${name} ${real}`),
    );
    return [name, { ...server, weights: new Map(weights) }] as const;
  });
  return new Map(kept.filter(([, server]) => server.weights.size > 0));
}

const flagsInList: Readonly<Record<string, string>> = { TCP: "-t", UDP: "-u", SCTP: "--sctp-service" };

/** `-f 1073741825 10.244.0.2:8080` of each real server without connections. */
function idleIn(listing: string): ReadonlySet<string> {
  const idle = new Set<string>();
  let name = "";
  for (const line of listing.split("\n")) {
    const [, kind = "", id = "", six] = /^(FWM|TCP|UDP|SCTP) +(\S+)( IPv6)?/.exec(line) ?? [];
    if (kind !== "")
      name = kind === "FWM" ? `-f ${id}${six === undefined ? "" : " -6"}` : `${flagsInList[kind]} ${id}`;
    const real = /^ +-> (\S+) +Masq +0 +0 +0 *$/.exec(line)?.[1];
    if (real !== undefined) idle.add(`${name} ${real}`);
  }
  return idle;
}

export interface ServerChange {
  /** More endpoints: before packets are led to them. */
  readonly grow: readonly string[];
  /** Fewer: when no packet is led to them any more. */
  readonly shrink: readonly string[];
}

/** Lines for `ipvsadm --restore` that turn `before` into `after`. */
export function changeOf(before: VirtualServers, after: VirtualServers): ServerChange {
  const grow = [...after].flatMap(([name, server]) => growth(name, before.get(name), server));
  const shrink = [...before].flatMap(([name, server]) => shrinkage(name, server, after.get(name)));
  return { grow, shrink };
}

/** The kernel puts a new real server before all others: so the first in turn comes last. */
function growth(name: string, before: VirtualServer | undefined, after: VirtualServer): readonly string[] {
  const verb = before === undefined ? "-A" : "-E";
  const head = before?.options === after.options ? [] : [`${verb} ${name} ${after.options}`];
  const added = [...after.weights].filter(([real]) => before?.weights.has(real) !== true).reverse();
  const heavier = [...after.weights].filter(
    ([real, weight]) => weight > (before?.weights.get(real) ?? weight),
  );
  return [
    ...head,
    ...added.map(([real, weight]) => `-a ${name} -r ${real} -m -w ${weight}`),
    ...heavier.map(([real, weight]) => `-e ${name} -r ${real} -m -w ${weight}`),
  ];
}

function shrinkage(name: string, before: VirtualServer, after: VirtualServer | undefined): readonly string[] {
  if (after === undefined) return [`-D ${name}`];
  return [...before.weights].flatMap(([real, weight]) => {
    const now = after.weights.get(real);
    if (now === undefined) return [`-d ${name} -r ${real}`];
    return now < weight ? [`-e ${name} -r ${real} -m -w ${now}`] : [];
  });
}

/** Whether these are the same servers with the same weights. */
export function sameServers(some: VirtualServers, others: VirtualServers): boolean {
  const { grow, shrink } = changeOf(some, others);
  return grow.length === 0 && shrink.length === 0;
}
