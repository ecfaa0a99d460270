/** Which ports the stand-ins of a pod listen on. Pure. */
import { selects, type Snapshot } from "#model";
import type { Container, PodSpec, Probe } from "kubernetes-types/core/v1.js";
import { longRunning } from "./pod-object.ts";
import type { Port } from "./pod-object.ts";

/** Numeric target ports of the Services that select a pod: images often listen on ports that the pod does not declare. */
export function targetPorts(
  snapshot: Snapshot,
  pod: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> },
): Port[] {
  return [...snapshot.services.values()]
    .filter(({ namespace, selector }) => namespace === pod.namespace && selects(selector, pod.labels))
    .flatMap(({ ports }) =>
      ports.flatMap(({ targetPort, protocol }) =>
        typeof targetPort === "number" && protocol !== "SCTP" ? [{ port: targetPort, protocol }] : [],
      ),
    );
}

/**
 * Ports per container: those it declares and those its probes ask for; `extra` ports that nobody has go to the first
 * stand-in. A port belongs to one container only, since they share the pod's network; the first one has it.
 */
export function planPorts(
  spec: PodSpec,
  extra: readonly Port[],
  isStandIn: (container: Container) => boolean,
): ReadonlyMap<string, readonly Port[]> {
  const containers = longRunning(spec);
  const taken = new Set<string>();
  const plan = new Map<string, Port[]>(containers.map(({ name }) => [name, []]));
  const claim = (container: Container | undefined, ports: readonly Port[]): void => {
    for (const { port, protocol } of ports) {
      const key = `${protocol} ${port}`;
      if (container === undefined || taken.has(key)) continue;
      taken.add(key);
      plan.get(container.name)?.push({ port, protocol });
    }
  };
  for (const container of containers) claim(container, declaredPorts(container));
  for (const container of containers) claim(container, probePorts(container));
  claim(
    containers.find((container) => isStandIn(container)),
    extra,
  );
  return plan;
}

function declaredPorts(container: Container): Port[] {
  return (container.ports ?? []).flatMap(({ containerPort, protocol = "TCP" }) =>
    protocol === "TCP" || protocol === "UDP" ? [{ port: containerPort, protocol }] : [],
  );
}

function probePorts(container: Container): Port[] {
  const probes: (Probe | undefined)[] = [
    container.startupProbe,
    container.readinessProbe,
    container.livenessProbe,
  ];
  return probes.flatMap((probe) => {
    const port = probe?.httpGet?.port ?? probe?.tcpSocket?.port;
    return typeof port === "number" ? [{ port, protocol: "TCP" as const }] : [];
  });
}

/** The number of a port given by number or by the name of a declared port. */
export function resolvePort(container: Container, port: number | string): number | undefined {
  if (typeof port === "number") return port;
  const named = container.ports?.find(({ name }) => name === port);
  return named?.containerPort;
}
