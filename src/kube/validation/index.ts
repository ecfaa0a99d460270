import type { JsonObject } from "../json.ts";
import type { KindInfo, Subresource } from "../kinds.ts";
import * as cluster from "./cluster.ts";
import * as config from "./config.ts";
import { disruptionBudgetErrors } from "./disruption.ts";
import { endpointsErrors, endpointSliceErrors } from "./endpoints.ts";
import type { FieldError } from "./errors.ts";
import { ingressClassErrors, ingressErrors, ingressUpdateErrors } from "./ingress.ts";
import { metaUpdateErrors } from "./meta.ts";
import { networkPolicyErrors } from "./network-policy.ts";
import { podErrors, podUpdateErrors } from "./pod.ts";
import { podStatusErrors } from "./pod-status.ts";
import { ipAddressErrors, serviceCidrErrors } from "./service-ranges.ts";
import { serviceErrors, serviceStatusErrors, serviceUpdateErrors } from "./service.ts";
import * as workload from "./workload.ts";

interface Rules {
  readonly create: (object: JsonObject) => FieldError[];
  readonly update: (object: JsonObject, old: JsonObject) => FieldError[];
}

/** Rules that are one function for both cases. */
const both = (check: (object: JsonObject, old?: JsonObject) => FieldError[]): Rules => ({
  create: (object) => check(object),
  update: (object, old) => check(object, old),
});

const rules: Readonly<Record<string, Rules>> = {
  "core.v1.Pod": { create: podErrors, update: podUpdateErrors },
  "core.v1.Service": { create: serviceErrors, update: serviceUpdateErrors },
  "core.v1.Endpoints": both(endpointsErrors),
  "core.v1.ConfigMap": { create: config.configMapErrors, update: config.configMapUpdateErrors },
  "core.v1.Secret": { create: config.secretErrors, update: config.secretUpdateErrors },
  "core.v1.Namespace": both(cluster.namespaceErrors),
  "core.v1.Node": { create: cluster.nodeErrors, update: cluster.nodeUpdateErrors },
  "core.v1.Event": both(cluster.eventErrors),
  "core.v1.PersistentVolumeClaim": both(cluster.claimErrors),
  "events.v1.Event": both(cluster.eventErrors),
  "apps.v1.Deployment": { create: workload.deploymentErrors, update: workload.deploymentUpdateErrors },
  "apps.v1.ReplicaSet": { create: workload.replicaSetErrors, update: workload.replicaSetUpdateErrors },
  "apps.v1.DaemonSet": both(workload.daemonSetErrors),
  "apps.v1.StatefulSet": both(workload.statefulSetErrors),
  "networking.v1.Ingress": { create: ingressErrors, update: ingressUpdateErrors },
  "networking.v1.IngressClass": both(ingressClassErrors),
  "networking.v1.IPAddress": both(ipAddressErrors),
  "networking.v1.NetworkPolicy": both(networkPolicyErrors),
  "networking.v1.ServiceCIDR": both(serviceCidrErrors),
  "discovery.v1.EndpointSlice": both(endpointSliceErrors),
  "policy.v1.PodDisruptionBudget": both(disruptionBudgetErrors),
  "coordination.v1.Lease": both(cluster.leaseErrors),
};

const statusRules: Readonly<Record<string, Rules["update"]>> = {
  "core.v1.Pod": podStatusErrors,
  "core.v1.Service": serviceStatusErrors,
};

const plain = both(cluster.plainErrors);

/**
 * What is wrong with an object that has its defaults, in the words, with the field paths and in the order of Kubernetes 1.34:
 * a new object, or (with `old`) a changed one, whose immutable fields are compared. An update checks metadata twice, once
 * for every kind and once more by its kind, so a finding can occur repeatedly in the causes, as it does in Kubernetes.
 * A missing namespace is no finding: the server fills it in.
 */
export function validate(
  kind: KindInfo,
  object: JsonObject,
  old?: JsonObject,
  subresource?: Subresource,
): FieldError[] {
  const { create, update } = rules[kind.schema] ?? plain;
  if (old === undefined) return create(object);
  const general = metaUpdateErrors(object, old);
  if (subresource === "status") {
    const specific = statusRules[kind.schema] ?? metaUpdateErrors;
    return [...general, ...specific(object, old)];
  }
  return [...general, ...update(object, old)];
}
