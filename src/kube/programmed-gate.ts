import type { KubeObject } from "./types.ts";

/**
 * Readiness gate (KEP-580) of the pods that a controller makes: such a pod counts as ready, and so as available to a
 * rollout, only after all data planes have learnt of it.
 */
export const programmedGate = "inroad.dev/Programmed";

/** The new pod with the gate, if a controller owns it; other pods are part of no rollout and stay as they are. */
export function withProgrammedGate(pod: KubeObject): KubeObject {
  if (pod.metadata?.ownerReferences?.some(({ controller }) => controller === true) !== true) return pod;
  const spec: Readonly<Record<string, unknown>> = { ...Object(pod["spec"]) };
  const gates: readonly unknown[] = Array.isArray(spec["readinessGates"]) ? spec["readinessGates"] : [];
  if (gates.some((gate) => Object(gate)["conditionType"] === programmedGate)) return pod;
  return { ...pod, spec: { ...spec, readinessGates: [...gates, { conditionType: programmedGate }] } };
}
