/** Why a request that reached the ingress goes where it goes: told by the functions that decide it. */
import {
  findingsAbout,
  matchRequest,
  type Explanation,
  type Finding,
  type Flow,
  type Outcome,
  type Place,
  type PodAt,
  type Snapshot,
  type Step,
} from "#model";
import { routingHost } from "#wire/http1-authority";
import { chooseCertificate } from "./certificates.ts";
import { forwardingHeaders } from "./engine/forward-request.ts";
import { decideRule, type Decision, type Forward } from "./plan.ts";

type IngressPlace = Extract<Place, { at: "ingress" }>;
type Http = NonNullable<Flow["http"]>;

const hopByHop = new Set(
  "connection keep-alive te transfer-encoding upgrade proxy proxy-connection proxy-authenticate proxy-authorization".split(
    " ",
  ),
);

/** A flow with a request is routed by host and path. One without is delivered: the ingress accepts any connection. */
export function explain(snapshot: Snapshot, place: IngressPlace, flow: Flow): Explanation {
  const tls = flow.tls === undefined ? [] : [tlsStep(snapshot, place.pod, flow, flow.tls.serverName)];
  if (flow.http === undefined) {
    return { steps: tls, outcome: { kind: "delivered", pod: place.pod }, assumptions: [] };
  }
  const host = routingHost(flow.http.host);
  const found = matchRequest(snapshot.routes, host, flow.http.path);
  const decision: Decision =
    found.path === undefined ? noRule(host, flow.http.path) : decideRule(snapshot, found.path);
  const step = routeStep(place.pod, flow, flow.http, decision, found.evaluated);
  return {
    steps: [...tls, step],
    outcome:
      decision.kind === "refuse" ? rejected(decision) : next(snapshot, place.pod, flow, flow.http, decision),
    assumptions: assumptions(snapshot, decision),
  };
}

function noRule(host: string, path: string): Decision {
  return {
    kind: "refuse",
    status: 404,
    reason: `no Ingress rule takes host ${host} and path ${path}, and there is no default backend`,
    mend: "add a rule for this host and path to an Ingress, or a default backend",
  };
}

function component(pod: PodAt): string {
  return `ingress ${pod.namespace}/${pod.name}`;
}

function tlsStep(snapshot: Snapshot, pod: PodAt, flow: Flow, serverName: string): Step {
  const choice = chooseCertificate(snapshot.routes, serverName);
  const secret = choice.certificate?.secret;
  const chosen = secret === undefined ? "default certificate" : `Secret ${secret.namespace}/${secret.name}`;
  return {
    hop: "2-ingress",
    component: component(pod),
    action: "terminate TLS",
    from: flow.source.address,
    to: `${serverName}:${flow.destination.port}`,
    decision: {
      algorithm: "certificate by server name: exact host, then one-label wildcard, then default",
      candidates: [{ name: chosen, eligible: true, reason: choice.reason }],
      chosen,
      reason: choice.reason,
    },
    evaluated: snapshot.routes.certificates.map((certificate) => ({
      what: `Secret ${certificate.secret.namespace}/${certificate.secret.name} for ${certificate.host || "any host"}`,
      matched: certificate === choice.certificate,
      why:
        certificate === choice.certificate
          ? "covers the server name"
          : (certificate.problem ?? "another name"),
    })),
    rewrites: ["https -> http inside the cluster"],
    predicted: [`${chosen} serves ${serverName}`],
  };
}

function routeStep(
  pod: PodAt,
  flow: Flow,
  http: Http,
  decision: Decision,
  evaluated: Step["evaluated"],
): Step {
  const { rule } = decision;
  const where =
    rule === undefined ? "no rule" : `Ingress ${rule.ingress.namespace}/${rule.ingress.name} ${rule.field}`;
  const to =
    decision.kind === "forward" ? `${decision.name}:${decision.servicePort.port}` : `HTTP ${decision.status}`;
  const reason = decision.kind === "forward" ? `${where} takes ${http.host}${http.path}` : decision.reason;
  return {
    hop: "2-ingress",
    component: component(pod),
    action: decision.kind === "forward" ? "route" : "reject",
    from: `${http.method} ${http.host}${http.path}`,
    to,
    decision: {
      algorithm: "Ingress v1: host, then longest path, then Exact before Prefix",
      candidates: decision.kind === "forward" ? [{ name: to, eligible: true, reason }] : [],
      ...(decision.kind === "forward" ? { chosen: to } : {}),
      reason,
    },
    evaluated,
    rewrites: decision.kind === "forward" ? rewrites(flow, http) : [],
    predicted: rule === undefined ? [] : [`${rule.pathType} ${rule.path} -> ${to} (${where})`],
  };
}

/** The changes between the head that came and the head that the backend gets. The request id is known only afterwards. */
function rewrites(flow: Flow, http: Http): string[] {
  const set = addedHeaders(flow, http).map(([name, value]) => `${name}: ${value}`);
  const removed = Object.keys(http.headers)
    .filter((name) => isRemoved(name, http))
    .map((name) => `${name} removed`);
  return [...set, ...removed, isWebSocket(http) ? "Connection: Upgrade" : "Connection: close"];
}

function addedHeaders(flow: Flow, http: Http): (readonly [string, string])[] {
  const sent = header(http, "x-request-id");
  return forwardingHeaders({
    peerAddress: flow.source.address,
    localPort: flow.destination.port,
    secure: flow.tls !== undefined,
    authority: http.host,
    requestId: sent ?? "(new)",
  }).slice();
}

function isRemoved(name: string, http: Http): boolean {
  const lower = name.toLowerCase();
  if (
    hopByHop.has(lower) ||
    lower === "forwarded" ||
    lower === "x-real-ip" ||
    lower.startsWith("x-forwarded-")
  )
    return true;
  const named = (header(http, "connection") ?? "").toLowerCase().split(",");
  return named.some((item) => item.trim() === lower);
}

function header(http: Http, name: string): string | undefined {
  return Object.entries(http.headers).find(([key]) => key.toLowerCase() === name)?.[1];
}

function isWebSocket(http: Http): boolean {
  return header(http, "upgrade")?.toLowerCase() === "websocket";
}

function rejected(decision: Extract<Decision, { kind: "refuse" }>): Outcome {
  return { kind: "rejected", reason: decision.reason, mend: decision.mend, httpStatus: decision.status };
}

/** The ingress opens a connection of its own to the Service, from its pod; the answer goes back through both. */
function next(snapshot: Snapshot, pod: PodAt, flow: Flow, http: Http, decision: Forward): Outcome {
  const address = snapshot.pods.get(`${pod.namespace}/${pod.name}`)?.address;
  if (address === undefined) {
    const reason = `the ingress pod ${pod.namespace}/${pod.name} has no address yet`;
    return { kind: "unknown", reason, mend: "wait until the ingress pod runs" };
  }
  const kept = Object.entries(http.headers).filter(([name]) => !isRemoved(name, http));
  const added = addedHeaders(flow, http).filter(
    ([name, value]) => name !== "X-Request-ID" || value !== "(new)",
  );
  const names = new Set(added.map(([name]) => name.toLowerCase()));
  const headers = Object.fromEntries([...kept.filter(([name]) => !names.has(name.toLowerCase())), ...added]);
  const onward: Flow = {
    protocol: "TCP",
    // The engine asks for the absolute name, so that no search list comes into play.
    source: { address },
    destination: { name: `${decision.name}.`, port: decision.servicePort.port },
    http: { ...http, headers },
  };
  return {
    kind: "next",
    alternatives: [{ name: decision.name, place: { at: "cluster-dns", pod }, flow: onward }],
  };
}

/** What is known about the Ingress that took the request, its namespace's Service, and nothing else: others have no part in it. */
function assumptions(snapshot: Snapshot, decision: Decision): readonly Finding[] {
  const { rule } = decision;
  if (rule === undefined) return [];
  const about = findingsAbout(snapshot, { kind: "Ingress", ...rule.ingress });
  const service = rule.backend.service;
  if (service === undefined) return about;
  const { namespace } = rule.ingress;
  return [...about, ...findingsAbout(snapshot, { kind: "Service", namespace, name: service })];
}
