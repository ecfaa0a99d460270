/** What can be compared at each place: the predicted values beside the observed one, or what is missing. */
import { endpointText, type Flow, hostRules, type PodAt, type Snapshot } from "#model";
import type { Step } from "#model";
import type { Visit } from "#path";
import {
  deniedAt,
  keeperOf,
  resolvedTo,
  sourcesOf,
  trackedAt,
  trackedText,
  tupleText,
  wentTo,
} from "./evidence.ts";
import type { Check, Observations } from "./types.ts";

export interface Compared {
  readonly checks: readonly Check[];
  readonly missing: readonly string[];
  readonly records: readonly string[];
}

const unseen = "not seen by this node";

const nothing: Compared = { checks: [], missing: [], records: [] };

/**
 * Compares one visit with the evidence: one result per step. Only nodes have evidence for each of several steps (a
 * packet crosses two of them); elsewhere it belongs to the last step, which decides where the flow goes.
 */
export function checksAt(
  snapshot: Snapshot,
  visit: Visit,
  later: readonly Visit[],
  observations: Observations,
): readonly Compared[] {
  if (visit.place.at === "node") {
    return visit.steps.map((step) => atNode(visit, step, nodeOf(step, visit.place), observations));
  }
  const last = atPlace(snapshot, visit, later, observations);
  return visit.steps.map((_, i) => (i === visit.steps.length - 1 ? last : nothing));
}

function atPlace(
  snapshot: Snapshot,
  visit: Visit,
  later: readonly Visit[],
  observations: Observations,
): Compared {
  const [next] = later;
  switch (visit.place.at) {
    case "edge":
      return atEdge(visit, later, observations);
    case "proxy":
      return atProxy(snapshot, visit, next, observations);
    case "pod":
      return atPod(snapshot, visit, visit.place.pod, next, observations);
    case "ingress":
      return atIngress(snapshot, visit, observations);
    default:
      return atDns(visit, observations);
  }
}

/** The node that a step is about: its component is `node NAME`. */
function nodeOf(step: Step, place: Visit["place"]): string {
  const named = /^node (\S+)$/.exec(step.component)?.[1];
  return named ?? ("node" in place ? place.node : "");
}

function check(what: string, predicted: readonly string[], observed: string, source: string): Check {
  return { what, predicted, observed, agrees: predicted.includes(observed), source };
}

function missing(why: string): Compared {
  return { ...nothing, missing: [why] };
}

function merge(...parts: readonly Compared[]): Compared {
  return {
    checks: parts.flatMap((part) => part.checks),
    missing: parts.flatMap((part) => part.missing),
    records: parts.flatMap((part) => part.records),
  };
}

function atDns({ flow, alternatives }: Visit, observations: Observations): Compared {
  const name = flow.destination.name ?? "the name";
  const addresses = [...new Set(alternatives.map((a) => a.flow.destination.address ?? "no address"))];
  const observed = resolvedTo(observations, flow);
  const outcome = observations.client?.dns?.outcome;
  if (observed === undefined && (outcome === undefined || addresses.length > 0)) {
    return missing(`no answer for ${name} was recorded`);
  }
  const predicted = addresses.length > 0 ? addresses : ["no address"];
  return {
    ...nothing,
    checks: [check("answer", predicted, observed ?? "no address", "the question itself")],
    records: [`${name} is ${observed ?? outcome}`],
  };
}

function atEdge(
  { flow, alternatives }: Visit,
  [next, afterwards]: readonly Visit[],
  observations: Observations,
): Compared {
  const nodes = [...new Set(alternatives.flatMap(({ place }) => ("node" in place ? [place.node] : [])))];
  if (nodes.length === 0) return nothing;
  const known = [...new Set([...nodes, ...(observations.conntrack ?? []).map((read) => read.node)])];
  const looked = known
    .filter((node) => node !== "edge")
    .map((node) => ({ node, tracked: trackedAt(observations, node, flow) }));
  const balanced = balancedAt(flow, nodes, observations);
  const seen = looked.find(({ tracked }) => tracked.kind === "entry");
  if (seen?.tracked.kind === "entry") {
    return merge(balanced, {
      ...nothing,
      checks: [check("node", nodes, seen.node, `${keeperOf(observations)} ${seen.node}`)],
      records: [`${keeperOf(observations)} ${seen.node}: ${trackedText(seen.tracked.entry)}`],
    });
  }
  // What the first node's policies keep back no node tracks.
  if (next?.place.at === "proxy" && isKeptBack(afterwards, next.place.node)) return balanced;
  const unread = looked.flatMap(({ tracked }) => (tracked.kind === "missing" ? [tracked.why] : []));
  if (unread.length > 0) return merge(balanced, { ...nothing, missing: unread });
  const unseenByAll = check("node", nodes, "no node has seen the connection", keeperOf(observations));
  return merge(balanced, { ...nothing, checks: [unseenByAll] });
}

/** What the edge's own entry says: its mark is the node that the load balancer chose. */
function balancedAt(flow: Flow, nodes: readonly string[], observations: Observations): Compared {
  const tracked = trackedAt(observations, "edge", flow);
  if (tracked.kind !== "entry" || tracked.entry.toNode === undefined) return nothing;
  return {
    ...nothing,
    checks: [check("balanced to", nodes, tracked.entry.toNode, `${keeperOf(observations)} edge`)],
    records: [`${keeperOf(observations)} edge: ${trackedText(tracked.entry)}`],
  };
}

function atProxy(
  snapshot: Snapshot,
  { place, flow, alternatives, picked }: Visit,
  next: Visit | undefined,
  observations: Observations,
): Compared {
  if (alternatives.length === 0 || !("node" in place)) return nothing;
  const { node } = place;
  const predicted = [
    ...new Set(alternatives.map((alternative) => endpointText(alternative.flow.destination))),
  ];
  const translated = !predicted.every((end) => end === endpointText(flow.destination));
  const source = `${keeperOf(observations)} ${node}`;
  const tracked = trackedAt(observations, node, flow);
  if (tracked.kind === "missing") return missing(tracked.why);
  if (tracked.kind === "none") {
    if (isKeptBack(next, node) && next !== undefined)
      return untracked(next.flow, predicted, node, observations);
    // The proxy's own account is whole, and has only what it translated; the kernel's has all that passed.
    const passed = keeperOf(observations) === "proxy record" && !translated;
    const [wanted, seen] = passed ? [["not translated"], "not translated"] : [predicted, unseen];
    return { ...nothing, checks: [check("DNAT to", wanted, seen, source)] };
  }
  const { entry } = tracked;
  const masquerades = alternatives[picked ?? 0]?.flow.source.address !== flow.source.address;
  const masqueraded = entry.reply.destination !== entry.original.source;
  const went = wentTo(entry);
  return {
    missing: [],
    checks: [
      check("DNAT to", translated ? predicted : ["not translated"], went, source),
      // Of a node's own connection the model cannot tell which of its addresses it gets.
      ...(isNode(snapshot, flow.source.address)
        ? []
        : [check("source", [sourceText(masquerades)], sourceText(masqueraded), source)]),
    ],
    records: [`${source}: ${trackedText(entry)}`],
  };
}

/** Whether a node's policies keep the flow back: then its connection is never tracked there. */
function isKeptBack(visit: Visit | undefined, node: string): boolean {
  return visit?.steps.some((step) => step.action === "drop" && step.component === `node ${node}`) === true;
}

/**
 * Where a connection was translated to that was kept back right afterwards: the policies recorded it. Each repetition of
 * its first packet is translated anew, so that there may be several records; the one that the prediction follows counts.
 */
function untracked(
  flow: Flow,
  predicted: readonly string[],
  node: string,
  observations: Observations,
): Compared {
  const denied = deniedAt(observations, node, flow);
  if (denied.kind === "missing") return missing(denied.why);
  const observed = denied.kind === "none" ? unseen : endpointText(flow.destination);
  return { ...nothing, checks: [check("DNAT to", predicted, observed, `policies of ${node}`)] };
}

function sourceText(masqueraded: boolean): string {
  return masqueraded ? "masqueraded" : "unchanged";
}

function atNode({ flow }: Visit, step: Step, node: string, observations: Observations): Compared {
  if (step.action === "admit") return nothing;
  if (step.action === "drop") return keptBack(flow, node, observations);
  return merge(wayOut(flow, step, node, observations), crossing(flow, step, node, observations));
}

/** Whether the policies recorded that they kept back this very connection. */
function keptBack(flow: Flow, node: string, observations: Observations): Compared {
  const source = `policies of ${node}`;
  const denied = deniedAt(observations, node, flow);
  if (denied.kind === "missing") return missing(denied.why);
  const observed = denied.kind === "none" ? "not recorded" : "kept back";
  return {
    missing: [],
    checks: [check("connection", ["kept back"], observed, source)],
    records:
      denied.kind === "none"
        ? []
        : [`${source}: ${denied.entry.direction} ${denied.entry.protocol} ${tupleText(denied.entry)}`],
  };
}

/** The interface and next hop that the node uses for the address, beside the ones that were planned. */
function wayOut(flow: Flow, step: Step, node: string, observations: Observations): Compared {
  const destination = flow.destination.address ?? "";
  const planned = step.predicted.find((line) => /\bdev \S+/.test(line));
  if (planned === undefined) return nothing;
  const found = observations.routes?.find((r) => r.node === node && r.destination === destination);
  if (found === undefined) {
    // The connection's own mark says more than the route of this moment.
    const tracked = trackedAt(observations, node, flow);
    const marked = tracked.kind === "entry" && tracked.entry.leftBy !== undefined;
    return marked ? nothing : missing(`the route of ${node} to ${destination} was not looked up`);
  }
  const source = `route of ${node}`;
  const device = /\bdev (\S+)/.exec(planned)?.[1] ?? "";
  const via = /\bvia (\S+)/.exec(planned)?.[1];
  return {
    missing: [],
    checks: [
      check("interface", [device], found.device, source),
      ...(via === undefined ? [] : [check("next hop", [via], found.via ?? "none", source)]),
    ],
    records: [
      `${source}: ${destination}${found.via === undefined ? "" : ` via ${found.via}`} dev ${found.device}`,
    ],
  };
}

/** Whether the packet was on the node at all, and by which kind of interface it left. */
function crossing(flow: Flow, step: Step, node: string, observations: Observations): Compared {
  // Without namespaces a node does nothing to a connection: the proxy made it, and has told of it.
  if (step.action === "connect") return nothing;
  const source = `${keeperOf(observations)} ${node}`;
  const tracked = trackedAt(observations, node, flow);
  if (tracked.kind === "missing") return missing(tracked.why);
  if (tracked.kind === "none") return { ...nothing, checks: [check("connection", ["seen"], unseen, source)] };
  const { entry } = tracked;
  const left =
    entry.leftBy === undefined ? [] : [check("left by", [plannedExit(step)], entry.leftBy, source)];
  return {
    missing: [],
    checks: [check("connection", ["seen"], "seen", source), ...left],
    records: [`${source}: ${trackedText(entry)}`],
  };
}

function plannedExit(step: Step): string {
  if (step.action === "encapsulate") return "overlay";
  return step.to.startsWith("pod ") ? "pod" : "underlay";
}

function atPod(
  snapshot: Snapshot,
  { flow }: Visit,
  pod: PodAt,
  next: Visit | undefined,
  observations: Observations,
): Compared {
  const name = `${pod.namespace}/${pod.name}`;
  if (next?.place.at === "ingress") {
    const record = observations.ingress;
    if (record === undefined) return missing(`no ingress pod has a record of this request`);
    const observed = `${record.pod.namespace}/${record.pod.name}`;
    return { ...nothing, checks: [check("pod", [name], observed, "ingress record")] };
  }
  const account = observations.pod;
  if (account === undefined) return missing(`pod ${name} gave no account of itself`);
  const model = snapshot.pods.get(name);
  const itself = "the pod's own account";
  const optional = (
    what: string,
    predicted: string | undefined,
    observed: string | undefined,
  ): readonly Check[] =>
    predicted === undefined || observed === undefined ? [] : [check(what, [predicted], observed, itself)];
  const peer =
    account.peer === undefined
      ? []
      : [check("peer", senders(snapshot, flow, observations), account.peer, itself)];
  return {
    missing: [],
    checks: [
      check("pod", [name], `${account.namespace}/${account.pod}`, itself),
      ...optional("node", model?.node, account.node),
      ...optional("address", model?.address, account.address),
      ...peer,
    ],
    records: [
      `${account.namespace}/${account.pod} on ${account.node ?? "?"} was asked by ${account.peer ?? "?"}`,
    ],
  };
}

function atIngress(snapshot: Snapshot, { flow }: Visit, observations: Observations): Compared {
  const record = observations.ingress;
  if (record === undefined) return missing("no ingress pod has a record of this request");
  const source = "ingress record";
  const observed = ruleText(record.rule);
  const predicted = ruleText(
    hostRules(snapshot.routes, flow.http?.host ?? "", flow.http?.path ?? "/").matched,
  );
  return {
    missing: [],
    checks: [check("rule", [predicted], observed, source), ...clientCheck(snapshot, flow, observations)],
    records: [
      `${record.host} ${record.path}: ${observed}${record.status === undefined ? "" : `, answered ${record.status}`}${record.error === undefined ? "" : ` (${record.error})`}`,
    ],
  };
}

function clientCheck(snapshot: Snapshot, flow: Flow, observations: Observations): readonly Check[] {
  const observed = observations.ingress?.client?.address;
  if (observed === undefined) return [];
  return [check("client address", senders(snapshot, flow, observations), observed, "ingress record")];
}

/** Whose address the receiver sees: the flow's; if that is a node's, also the one it really masqueraded with. */
function senders(snapshot: Snapshot, flow: Flow, observations: Observations): readonly string[] {
  const { address, masqueraded } = flow.source;
  if (masqueraded === undefined && !isNode(snapshot, address)) return [address];
  return [...new Set([address, ...sourcesOf(observations, flow).map((end) => end.address)])];
}

function isNode(snapshot: Snapshot, address: string): boolean {
  return [...snapshot.nodes.values()].some((node) => node.addresses.includes(address));
}

function ruleText(
  rule:
    | { readonly ingress: { readonly namespace: string; readonly name: string }; readonly field: string }
    | undefined,
): string {
  return rule === undefined ? "no rule" : `${rule.ingress.namespace}/${rule.ingress.name} ${rule.field}`;
}
