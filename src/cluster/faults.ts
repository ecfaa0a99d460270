/** Makes faults inside of the cluster's own namespaces, and heals them. What is made is remembered until it is healed. */
import { ipBatch, isLoopback, nft, run, tcpConnect, type NetNs, type NetPlace } from "#kernel";
import type { Client } from "#client";
import { kindOf } from "#kube";
import { InroadError, messageOf } from "#lib/errors";
import { request as httpRequest } from "#lib/http";
import { nodeDevice } from "#path/node";
import type { Pod } from "kubernetes-types/core/v1.js";
import type { Fault, FaultKind, SnapshotSource } from "#model";
import { faultScript } from "./fault-rules.ts";
import type { ClusterNetwork } from "./network.ts";
import type { Severable } from "./severed.ts";

export interface FaultsOptions {
  readonly client: Client;
  readonly source: SnapshotSource;
  readonly network: Pick<ClusterNetwork, "home" | "nodes">;
  /** By node: its agent's way to the API server. */
  readonly agents: ReadonlyMap<string, Severable>;
}

export interface Faults {
  list(): readonly Fault[];
  /** Throws InroadError, exit status 2 or 3, when it cannot be made; then nothing is changed. */
  make(kind: FaultKind): Promise<Fault>;
  /** Heals these, or all; returns what was healed. */
  heal(ids?: readonly number[]): Promise<readonly Fault[]>;
}

export function createFaults(options: FaultsOptions): Faults {
  let faults: readonly Fault[] = [];
  let next = 1;
  let work: Promise<unknown> = Promise.resolve();

  /** Puts in force what the list says; a failure leaves the list as it was. */
  const change = async (wanted: readonly Fault[]): Promise<void> => {
    try {
      await carryOut(options, faults, wanted);
      faults = wanted;
    } catch (error) {
      await carryOut(options, wanted, faults).catch(() => undefined);
      throw error;
    }
  };
  /** One at a time. */
  const inTurn = <T>(act: () => Promise<T>): Promise<T> => {
    const done = work.then(act);
    work = done.catch(() => undefined);
    return done;
  };
  return {
    list: () => faults,
    make: (kind) =>
      inTurn(async () => {
        check(options, faults, kind);
        const fault: Fault = { id: next, since: new Date().toISOString(), ...kind };
        await change([...faults, fault]);
        next += 1;
        return fault;
      }),
    heal: (ids) =>
      inTurn(async () => {
        const unknown = ids?.find((id) => !faults.some((fault) => fault.id === id));
        if (unknown !== undefined) throw usage(`there is no fault ${unknown}`, "see inroad fault list");
        const healed = faults.filter(({ id }) => ids?.includes(id) ?? true);
        await change(faults.filter((fault) => !healed.includes(fault)));
        return healed;
      }),
  };
}

function check({ network, source }: FaultsOptions, faults: readonly Fault[], kind: FaultKind): void {
  if (kind.kind !== "unready" && isLoopback(network.home)) {
    throw usage(
      `${kind.kind} cannot be made without network namespaces`,
      "bring the cluster up with another --proxy-mode",
    );
  }
  const names = [...network.nodes.keys()];
  const nodes =
    kind.kind === "unready" ? [] : kind.kind === "partition" ? [kind.node, kind.other] : [kind.node];
  for (const node of nodes) {
    if (!names.includes(node)) throw usage(`there is no node ${node}`, `nodes are: ${names.join(", ")}`);
  }
  if (kind.kind === "partition" && kind.node === kind.other) {
    throw usage(`${kind.node} cannot be parted from itself`, "name two nodes");
  }
  if (kind.kind === "unready" && !source.current().pods.has(`${kind.namespace}/${kind.pod}`)) {
    throw usage(`there is no pod ${kind.namespace}/${kind.pod}`, "see inroad status");
  }
  const key = JSON.stringify(placeOf(kind));
  const twin = faults.find((fault) => JSON.stringify(placeOf(fault)) === key);
  if (twin !== undefined) {
    throw usage(`fault ${twin.id} is of that kind already`, `inroad fault heal ${twin.id}`);
  }
}

/** Of one kind there is at most one fault at a place. */
function placeOf(fault: FaultKind): readonly string[] {
  if (fault.kind === "unready") return [fault.kind, fault.namespace, fault.pod];
  if (fault.kind !== "partition") return [fault.kind, fault.node];
  return [fault.kind, ...[fault.node, fault.other].toSorted((a, b) => (a < b ? -1 : 1))];
}

/** Takes what is made from the one list to the other. */
async function carryOut(options: FaultsOptions, from: readonly Fault[], to: readonly Fault[]): Promise<void> {
  for (const fault of from.filter((one) => !to.includes(one))) await switchOne(options, fault, false);
  for (const fault of to.filter((one) => !from.includes(one))) await switchOne(options, fault, true);
  const models = options.source.current().nodes;
  for (const [name, { ns }] of options.network.nodes) {
    const [before, after] = [faultScript(name, from, models), faultScript(name, to, models)];
    if (before !== after) await nft(namespaceOf(ns), after);
  }
}

/** What is not a rule. */
async function switchOne(options: FaultsOptions, fault: Fault, on: boolean): Promise<void> {
  switch (fault.kind) {
    case "node-down": {
      const agent = options.agents.get(fault.node);
      if (on) agent?.sever(`${fault.node} is down`);
      await ipBatch(namespaceOf(options.network.home), [
        `link set ${nodeDevice(fault.node)} ${on ? "down" : "up"}`,
      ]);
      if (!on) agent?.restore();
      return;
    }
    case "latency": {
      const place = options.network.nodes.get(fault.node)?.ns;
      if (place === undefined) return undefined;
      const ns = namespaceOf(place);
      return on ? delay(ns, fault.milliseconds) : undelay(ns);
    }
    case "unready":
      return behave(options, fault, on ? "ready=false" : "ready=true");
    default:
  }
}

/** Rules and links are made in namespaces only; `check` has seen to it. */
function namespaceOf(place: NetPlace): NetNs {
  if (isLoopback(place)) throw new Error(`${place.name} is no namespace`);
  return place;
}

async function delay(ns: NetNs, milliseconds: number): Promise<void> {
  const discipline = ["netem", "delay", `${milliseconds}ms`, "limit", "10000"];
  const { code, stderr } = await run(ns, "tc", ["qdisc", "replace", "dev", "eth0", "root", ...discipline]);
  if (code === 0) return;
  throw new InroadError("NoNetem", `latency cannot be made: ${stderr.trim().split("\n")[0]}`, {
    mend: "it needs the kernel module sch_netem; on a host that has it: modprobe sch_netem",
    exitStatus: 3,
  });
}

/** The device's own queueing comes back by itself. */
async function undelay(ns: NetNs): Promise<void> {
  await run(ns, "tc", ["qdisc", "delete", "dev", "eth0", "root"]);
}

type Unready = Extract<Fault, { kind: "unready" }>;

/** Tells a stand-in how to behave, by its control request. A pod that is gone needs no healing. */
async function behave(
  options: FaultsOptions,
  { namespace, pod: name }: Unready,
  query: string,
): Promise<void> {
  const kind = kindOf("v1", "Pod");
  const pod = kind && ((await options.client.get(kind, name, namespace)) as Pod | undefined);
  const ns = options.network.nodes.get(pod?.spec?.nodeName ?? "")?.ns;
  if (query === "ready=true" && pod?.status?.podIP === undefined) return;
  const port = standInPort(pod);
  if (ns === undefined || pod?.status?.podIP === undefined || port === undefined) {
    throw usage(
      `pod ${namespace}/${name} has no stand-in with a TCP port of its own`,
      "what runs a command, or a part of Inroad, decides itself whether it is ready",
    );
  }
  await post(ns, pod.status.podIP, port, `/_inroad/behave?${query}`);
}

function standInPort(pod: Pod | undefined): number | undefined {
  const standIns = (pod?.status?.containerStatuses ?? [])
    .filter(({ imageID }) => imageID.startsWith("inroad://stand-in/"))
    .map((status) => status.name);
  return (pod?.spec?.containers ?? [])
    .filter(({ name }) => standIns.includes(name))
    .flatMap(({ ports = [] }) => ports)
    .find(({ protocol = "TCP" }) => protocol === "TCP")?.containerPort;
}

function post(ns: NetPlace, address: string, port: number, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (why: string): void =>
      reject(new InroadError("NoAnswer", `the stand-in at ${address}:${port} was not told: ${why}`));
    const sent = httpRequest({
      method: "POST",
      path,
      headers: { host: `${address}:${port}`, connection: "close" },
      createConnection: () => tcpConnect(ns, address, port),
      timeout: 2000,
    });
    sent.on("timeout", () => sent.destroy(new Error("no answer within 2 s")));
    sent.on("error", (error) => fail(messageOf(error)));
    sent.on("response", (response) => {
      response.resume();
      if (response.statusCode === 200) resolve();
      else fail(`status ${response.statusCode}`);
    });
    sent.end();
  });
}

function usage(message: string, mend: string): InroadError {
  return new InroadError("BadFault", message, { mend, exitStatus: 2 });
}
