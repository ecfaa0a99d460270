/** What happens to a flow that reached a pod's network namespace. Pure. */
import { withPort } from "#lib/ip";
import { selects } from "#model";
import type { Explanation, Flow, Outcome, Place, PodModel, ServicePort, Snapshot, Step } from "#model";

type PodPlace = Extract<Place, { at: "pod" }>;

/** Ports that a component listens on; a request that gets there goes on as a request, not as packets. */
const componentPorts: Readonly<Record<string, readonly { port: number; protocol: string }[]>> = {
  ingress: [
    { port: 80, protocol: "TCP" },
    { port: 443, protocol: "TCP" },
  ],
  dns: [
    { port: 53, protocol: "UDP" },
    { port: 53, protocol: "TCP" },
  ],
};

/** Whether something in the pod takes the flow: delivered, handed to the ingress, or refused. */
export function explain(snapshot: Snapshot, place: PodPlace, flow: Flow): Explanation {
  const key = `${place.pod.namespace}/${place.pod.name}`;
  const pod = snapshot.pods.get(key);
  if (pod === undefined) {
    const reason = `there is no pod ${key}`;
    return { steps: [], outcome: { kind: "unknown", reason }, assumptions: [] };
  }
  const { address = pod.address ?? "?", port } = flow.destination;
  const end = withPort(address, port);
  const listener = whoListens(snapshot, pod, flow);
  const step: Step = {
    hop: "6-pod",
    component: `pod ${key}`,
    action: listener === undefined ? "refuse" : "deliver",
    from: flow.source.address,
    to: end,
    evaluated: [
      {
        what: `port ${port}/${flow.protocol}`,
        matched: listener !== undefined,
        why: listener ?? noListener(pod),
      },
      ...notes(pod),
    ],
    rewrites: [],
    predicted: listener === undefined ? [] : [`LISTEN ${end} ${flow.protocol}`],
  };
  return { steps: [step], outcome: outcomeOf(pod, flow, listener), assumptions: [] };
}

function outcomeOf(pod: PodModel, flow: Flow, listener: string | undefined): Outcome {
  const { namespace, name } = pod;
  if (listener === undefined) {
    return {
      kind: "rejected",
      reason: `nothing in pod ${namespace}/${name} listens on port ${flow.destination.port}/${flow.protocol}`,
      mend: "compare the Service's targetPort with the containerPort that the program listens on",
    };
  }
  if (pod.component === "ingress" && isComponentPort(pod, flow)) {
    const place: Place = { at: "ingress", pod: { namespace, name } };
    return { kind: "next", alternatives: [{ name: `${namespace}/${name}`, place, flow }] };
  }
  return { kind: "delivered", pod: { namespace, name } };
}

/** Why something listens there, in words; undefined if nothing is known to. */
function whoListens(snapshot: Snapshot, pod: PodModel, flow: Flow): string | undefined {
  const { port } = flow.destination;
  if (isComponentPort(pod, flow)) return `component ${pod.component}`;
  const declared = pod.ports.find(
    ({ containerPort, protocol }) => containerPort === port && protocol === flow.protocol,
  );
  if (declared !== undefined)
    return `containerPort ${port}${declared.name === undefined ? "" : ` (${declared.name})`}`;
  const service = [...snapshot.services.values()].find(
    (one) =>
      one.namespace === pod.namespace &&
      selects(one.selector, pod.labels) &&
      one.ports.some((candidate) => aimsAt(candidate, flow)),
  );
  return service === undefined ? undefined : `targetPort of Service ${service.namespace}/${service.name}`;
}

function aimsAt({ targetPort, protocol }: ServicePort, flow: Flow): boolean {
  return targetPort === flow.destination.port && protocol === flow.protocol;
}

function isComponentPort(pod: PodModel, { protocol, destination }: Flow): boolean {
  const ports = componentPorts[pod.component ?? ""] ?? [];
  return ports.some((one) => one.port === destination.port && one.protocol === protocol);
}

function noListener(pod: PodModel): string {
  const known = pod.ports.map(({ containerPort, protocol }) => `${containerPort}/${protocol}`);
  return known.length === 0 ? "the pod declares no ports" : `the pod declares ${known.join(", ")}`;
}

/** True of the pod, and worth knowing, though packets do not care. */
function notes(pod: PodModel): Step["evaluated"] {
  return [
    ...(pod.ready
      ? []
      : [
          {
            what: "readiness",
            matched: false,
            why: "the pod is not ready; only traffic that is not balanced by readiness gets here",
          },
        ]),
    ...(pod.terminating
      ? [{ what: "deletion", matched: true, why: "the pod is terminating and serves until it ends" }]
      : []),
  ];
}
