/** Why a name leads where it leads, for a client in a pod. */
import type { Candidate, Explanation, Flow, Place, PodAt, Snapshot, Step } from "#model";
import { decidePolicy, denialText } from "#model";
import { searchNames } from "#serve/dns";
import { formatRecord, rcodeName, rcodes, type ResourceRecord } from "#wire/dns";
import { dnsService } from "./find.ts";
import { planZone, type Zone, type ZoneAnswer } from "./plan.ts";
import { podSearch } from "./search.ts";

interface Tried {
  readonly name: string;
  readonly answer: ZoneAnswer | "forward";
  readonly addresses: readonly string[];
}

/** What the cluster DNS answers when the pod at `place` looks the flow's name up with its search list. */
export function explain(
  snapshot: Snapshot,
  place: Extract<Place, { at: "cluster-dns" }>,
  flow: Flow,
): Explanation {
  const { name } = flow.destination;
  const client = snapshot.pods.get(podName(place.pod));
  const node = client?.node;
  if (node === undefined) return unknown([], `pod ${podName(place.pod)} is on no node`);
  const out: Place = { at: "proxy", node, from: "pod" };
  if (name === undefined || flow.destination.address !== undefined) {
    const alternative = { name: flow.destination.address ?? "", place: out, flow };
    return { steps: [], outcome: { kind: "next", alternatives: [alternative] }, assumptions: [] };
  }
  if (client?.ownResolver === true) {
    return unknown([], `pod ${podName(place.pod)} has a resolver of its own (dnsPolicy or dnsConfig)`);
  }
  const down = serverProblem(snapshot);
  if (down !== undefined) return rejected([], down.reason, down.mend);
  const kept = keptBack(snapshot, flow);
  if (kept !== undefined) return kept;
  const tried = tryNames(planZone(snapshot, 0), snapshot, place.pod, name);
  const last = tried.at(-1);
  const steps = [stepOf(snapshot, place.pod, name, tried)];
  if (last === undefined || last.answer === "forward" || last.answer.completeWith !== undefined) {
    return unknown(
      steps,
      `${last?.name ?? name} is not a name of this cluster: an upstream resolver decides`,
    );
  }
  if (last.addresses.length === 0) return nothing(snapshot, steps, name, tried);
  const alternatives = last.addresses.map((address) => ({
    name: address,
    place: out,
    flow: { ...flow, destination: { ...flow.destination, address } },
  }));
  return { steps, outcome: { kind: "next", alternatives }, assumptions: [] };
}

function podName(pod: PodAt): string {
  return `${pod.namespace}/${pod.name}`;
}

function tryNames(zone: Zone, snapshot: Snapshot, pod: PodAt, name: string): Tried[] {
  const tried: Tried[] = [];
  for (const candidate of searchNames(podSearch(snapshot.domain, pod.namespace), name)) {
    const answer = zone.answer(candidate, "A");
    const addresses = answer === "forward" ? [] : addressesOf(answer.reply.answers ?? []);
    tried.push({ name: candidate, answer, addresses });
    // An upstream may or may not know the name: nothing is certain after it.
    if (answer === "forward" || addresses.length > 0 || answer.completeWith !== undefined) break;
  }
  return tried;
}

function addressesOf(records: readonly ResourceRecord[]): string[] {
  return records.flatMap((record) => (record.type === "A" ? [record.address] : []));
}

function verdictOf({ answer, addresses }: Tried): string {
  if (answer === "forward") return "not a name of this cluster, forwarded upstream";
  if (answer.reply.rcode === rcodes.NXDOMAIN) return `NXDOMAIN: ${answer.reason ?? "no such name"}`;
  if (answer.completeWith !== undefined) return `an alias of ${answer.completeWith}, completed upstream`;
  if (answer.reply.rcode !== rcodes.NOERROR) return rcodeName(answer.reply.rcode);
  return addresses.length > 0 ? "answered" : "NODATA: the name exists, but has no A record";
}

function stepOf(snapshot: Snapshot, pod: PodAt, name: string, tried: readonly Tried[]): Step {
  const last = tried.at(-1);
  const records = last === undefined || last.answer === "forward" ? [] : (last.answer.reply.answers ?? []);
  const server = snapshot.services.get(dnsService)?.clusterIPs[0];
  const addresses = last?.addresses ?? [];
  const [address] = addresses;
  return {
    hop: "3-service",
    component: "cluster DNS",
    action: "resolve",
    from: `pod ${podName(pod)}`,
    to: server === undefined ? "cluster DNS" : `${dnsService} ${server}:53`,
    ...(addresses.length > 1 && last !== undefined ? { decision: shuffleOf(last) } : {}),
    evaluated: tried.map((entry) => ({
      what: entry.name,
      matched: entry.addresses.length > 0,
      why: verdictOf(entry),
    })),
    rewrites: addresses.length === 1 && address !== undefined ? [`destination ${name} -> ${address}`] : [],
    predicted: records.map(formatRecord),
  };
}

function shuffleOf(tried: Tried): NonNullable<Step["decision"]> {
  const candidates = tried.addresses.map((address): Candidate => ({
    name: address,
    address,
    eligible: true,
    reason: "ready endpoint",
  }));
  return {
    algorithm: "random order; the client usually takes the first",
    candidates,
    reason: `${tried.name} has ${candidates.length} addresses`,
  };
}

/** The cluster DNS is itself a Service: without a ready endpoint nobody answers. */
function serverProblem(snapshot: Snapshot): { reason: string; mend: string } | undefined {
  const service = snapshot.services.get(dnsService);
  if (service === undefined) return undefined;
  const udp = service.ports.find((port) => port.protocol === "UDP" && port.port === 53);
  if (udp?.endpoints.some((endpoint) => endpoint.ready) === true) return undefined;
  return {
    reason: `the cluster DNS (Service ${dnsService}) has no ready endpoint`,
    mend: `see why its pods are not ready: kubectl -n kube-system get pods`,
  };
}

/** NetworkPolicies that let the pod's questions reach none of the servers. */
function keptBack(snapshot: Snapshot, { source }: Flow): Explanation | undefined {
  const port = snapshot.services.get(dnsService)?.ports.find(({ protocol }) => protocol === "UDP");
  const servers = (port?.endpoints ?? []).filter(({ ready }) => ready);
  const denials = servers.flatMap(({ address: to, port: number }) => {
    const connection = { from: source.address, to, protocol: "UDP" as const, port: number };
    const { egress, ingress } = decidePolicy(snapshot, source.address, to, "UDP", number);
    const denied = [egress, ingress].find((decision) => decision?.allowed === false);
    return denied === undefined ? [] : [denialText(snapshot, denied, connection)];
  });
  const [first] = denials;
  if (first === undefined || denials.length < servers.length) return undefined;
  const outcome = { kind: "dropped" as const, ...first, reason: `no name is resolved: ${first.reason}` };
  return { steps: [keptBackStep(snapshot, source.address, first.reason)], outcome, assumptions: [] };
}

function keptBackStep(snapshot: Snapshot, from: string, why: string): Step {
  const server = snapshot.services.get(dnsService)?.clusterIPs[0];
  return {
    hop: "3-service",
    component: "cluster DNS",
    action: "drop",
    from,
    to: `${dnsService} ${server}:53`,
    evaluated: [{ what: "NetworkPolicies on the way to the cluster DNS", matched: false, why }],
    rewrites: [],
    predicted: [],
  };
}

function nothing(
  snapshot: Snapshot,
  steps: readonly Step[],
  name: string,
  tried: readonly Tried[],
): Explanation {
  const exists = tried.find(
    (entry) => entry.answer !== "forward" && entry.answer.reply.rcode === rcodes.NOERROR,
  );
  const reason =
    exists === undefined
      ? `NXDOMAIN: ${verdictOf(tried[0] ?? { name, answer: "forward", addresses: [] }).replace(/^NXDOMAIN: /, "")}`
      : `NODATA: ${exists.name} exists, but has no A record`;
  return rejected(steps, reason, suggestion(snapshot, name));
}

/** A Service of that name in another namespace is what people most often mean. */
function suggestion(snapshot: Snapshot, name: string): string {
  const wanted = name.split(".")[0] ?? name;
  const same = [...snapshot.services.values()].find(
    (service) => service.name === wanted && !service.headless,
  );
  return same === undefined
    ? `create a Service named ${wanted}, or correct the name`
    : `there is a Service ${same.namespace}/${same.name}: use the name ${same.name}.${same.namespace}`;
}

function rejected(steps: readonly Step[], reason: string, mend: string): Explanation {
  return { steps, outcome: { kind: "rejected", reason, mend }, assumptions: [] };
}

function unknown(steps: readonly Step[], reason: string): Explanation {
  return { steps, outcome: { kind: "unknown", reason }, assumptions: [] };
}
