/**
 * Service rules of one node without a kernel to carry them out: this process listens on the addresses of Services and passes
 * connections and datagrams on. The plan, the order of turns and when they change are the same as in every mode.
 */
import { imagePort, reachEnd } from "#kernel";
import type { Claim, End, LoopbackNetwork } from "#kernel";
import { codeOf, messageOf } from "#lib/errors";
import { beginsAnew } from "../continuity.ts";
import type { RuleBackend } from "../backend.ts";
import { addressKey } from "../plan.ts";
import type { ProxyPlan, VirtualAddress } from "../plan.ts";
import { backendKey } from "../rotation.ts";
import type { Backend } from "../rotation.ts";
import { createConnections } from "./connections.ts";
import type { Admitted, ConnectionOptions, Connections } from "./connections.ts";
import { decide } from "./decide.ts";
import { createHold } from "./hold.ts";
import { createRecords } from "./records.ts";
import type { Records } from "./records.ts";
import { createTurns, lineOf } from "./turns.ts";
import type { Turns } from "./turns.ts";

export interface UserspaceOptions extends Omit<ConnectionOptions, "records"> {
  readonly network: LoopbackNetwork;
}

export interface UserspaceBackend extends RuleBackend {
  /** The connections that this node decided about. */
  readonly records: Pick<Records, "find">;
  readonly waiting: Connections["waiting"];
}

export function userspaceBackend(options: UserspaceOptions): UserspaceBackend {
  const { network, place, log } = options;
  const records = createRecords();
  const connections = createConnections({ ...options, records });
  const hold = createHold();
  const claims = new Map<string, () => void>();
  /** Addresses that could not be listened on. */
  const failed = new Set<string>();
  const lists = new Map<string, Turns>();
  let plan: ProxyPlan | undefined;

  const admit = (key: string, client: End): Admitted | "reject" | "drop" => {
    const at = plan?.addresses.get(key);
    if (plan === undefined || at === undefined || connections.isFull()) return "reject";
    const decision = decide(plan, at, client.address, place.address);
    if (decision.kind !== "list") return decision.kind;
    const turns = lists.get(decision.list);
    return turns === undefined ? "reject" : { client, at, turns, sourceTo: decision.sourceTo };
  };

  const claimOf = (key: string): Claim => ({
    accept(socket, client) {
      const admitted = admit(key, client);
      if (admitted === "reject") socket.resetAndDestroy();
      else if (admitted === "drop") hold(socket);
      else connections.accept(socket, admitted);
    },
    open(client, reply, onEnd) {
      const admitted = admit(key, client);
      return typeof admitted === "string" ? undefined : connections.open(admitted, reply, onEnd);
    },
  });

  const claim = (key: string, { address, port, protocol, servicePort }: VirtualAddress): void => {
    try {
      if (protocol === "SCTP") throw new Error("SCTP needs a kernel mode");
      claims.set(key, network.claim(place.name, { address, port, protocol }, claimOf(key)));
      failed.delete(key);
      const { address: image, port: at } = reachEnd(place, address, port, protocol);
      if (at !== imagePort(place.map, port)) {
        log.warn(
          `another program has port ${imagePort(place.map, port)}: ${servicePort} is at ${image}:${at}`,
        );
      }
    } catch (error) {
      if (!failed.has(key)) log.warn(`${servicePort} is not served at ${key}: ${reasonOf(error)}`);
      failed.add(key);
    }
  };

  /** Listens on exactly the addresses of the plan; what failed is said once, and tried again each time. */
  const listen = (): void => {
    const wanted = [...(plan?.addresses ?? [])].filter(([, at]) => isServed(at));
    const keys = new Set(wanted.map(([key]) => key));
    for (const [key, release] of claims) {
      if (keys.has(key)) continue;
      release();
      claims.delete(key);
    }
    for (const [key, at] of wanted) if (!claims.has(key)) claim(key, at);
  };

  const put = (next: ProxyPlan, anew: boolean): void => {
    for (const [key, list] of next.lists) {
      const turns = lists.get(key);
      if (turns === undefined) lists.set(key, createTurns(list));
      else turns.change(list, anew || beginsAnew(turns.list(), list));
    }
    for (const key of lists.keys()) if (!next.lists.has(key)) lists.delete(key);
    plan = next;
    listen();
    connections.endFlows((at, backend) => leadsTo(next, at, backend));
  };

  return {
    records,
    waiting: connections.waiting,
    sync: async (next) => put(next, true),
    update: async (next) => put(next, false),
    turns: async (wanted) =>
      new Map(
        wanted.flatMap((key) => {
          const next = lists.get(key)?.next();
          return next === undefined ? [] : [[key, next] as const];
        }),
      ),
    remembered: async (key, client) => lists.get(key)?.remembered(client, performance.now()),
    rulesOf: async (key) => describe(lists.get(key)),
    async intact() {
      listen();
      return true;
    },
    async remove() {
      plan = undefined;
      listen();
      connections.endFlows(() => false);
    },
  };
}

/** Where all are refused, nobody listens: that is the refusal. */
function isServed({ target, inside, sourceRanges }: VirtualAddress): boolean {
  return (
    sourceRanges !== undefined ||
    target.kind !== "reject" ||
    (inside !== undefined && inside.kind !== "reject")
  );
}

function leadsTo(plan: ProxyPlan, where: VirtualAddress, backend: Backend): boolean {
  const at = plan.addresses.get(addressKey(where));
  const slots = [at?.target, at?.inside].flatMap((target) =>
    target?.kind === "list" ? (plan.lists.get(target.list)?.slots ?? []) : [],
  );
  return slots.some((slot) => backendKey(slot) === backendKey(backend));
}

function describe(turns: Turns | undefined): string[] {
  if (turns === undefined) return [];
  const list = turns.list();
  const next = list.slots[turns.next() ?? list.slots.length];
  return [next === undefined ? lineOf(list) : `${lineOf(list)}; ${backendKey(next)} is next`];
}

function reasonOf(error: unknown): string {
  return codeOf(error) === "EADDRINUSE" ? "another program of this host listens there" : messageOf(error);
}
