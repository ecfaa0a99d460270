/** The objects that every embedded cluster has: its DNS, its ingress controller with its load balancer, its class. */
import type { KubeObject } from "#kube";
import { addresses } from "./config.ts";

/** Label that marks Inroad's own components; the node agents start them as Workers. */
const componentLabel = "inroad.dev/component";
export const controllerName = "inroad.dev/ingress";
export const ingressService = { namespace: "inroad-system", name: "inroad-ingress" } as const;
export const debugPort = 10254;

/** Labels by which people's policies and monitors find what every cluster has. */
const usualLabels: Readonly<Record<string, Record<string, string>>> = { dns: { "k8s-app": "kube-dns" } };

const labelsOf = (component: string): Record<string, string> => ({
  ...usualLabels[component],
  "app.kubernetes.io/managed-by": "inroad",
  [componentLabel]: component,
});

/** Exists before anything else: components write there. */
export const systemNamespace: KubeObject = {
  apiVersion: "v1",
  kind: "Namespace",
  metadata: { name: ingressService.namespace },
};

/** Objects in the order in which they are created. */
export function systemObjects(ingressReplicas: number): KubeObject[] {
  return [
    {
      apiVersion: "networking.k8s.io/v1",
      kind: "IngressClass",
      metadata: { name: "inroad", annotations: { "ingressclass.kubernetes.io/is-default-class": "true" } },
      spec: { controller: controllerName },
    },
    deployment("kube-system", "kube-dns", "dns", 1, [
      { name: "dns", containerPort: 53, protocol: "UDP" },
      { name: "dns-tcp", containerPort: 53, protocol: "TCP" },
    ]),
    service("kube-system", "kube-dns", "dns", {
      clusterIP: addresses.dnsService,
      ports: [
        { name: "dns", port: 53, protocol: "UDP", targetPort: 53 },
        { name: "dns-tcp", port: 53, protocol: "TCP", targetPort: 53 },
      ],
    }),
    deployment("inroad-system", "inroad-ingress", "ingress", ingressReplicas, [
      { name: "http", containerPort: 80, protocol: "TCP" },
      { name: "https", containerPort: 443, protocol: "TCP" },
    ]),
    service("inroad-system", "inroad-ingress", "ingress", {
      type: "LoadBalancer",
      ipFamilyPolicy: "PreferDualStack",
      externalTrafficPolicy: "Local",
      ports: [
        { name: "http", port: 80, protocol: "TCP", targetPort: "http" },
        { name: "https", port: 443, protocol: "TCP", targetPort: "https" },
      ],
    }),
  ];
}

function deployment(
  namespace: string,
  name: string,
  component: string,
  replicas: number,
  ports: readonly object[],
): KubeObject {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { namespace, name, labels: labelsOf(component) },
    spec: {
      replicas,
      selector: { matchLabels: { [componentLabel]: component } },
      template: {
        metadata: { labels: labelsOf(component) },
        spec: { containers: [{ name: component, image: `inroad.dev/${component}`, ports }] },
      },
    },
  };
}

function service(namespace: string, name: string, component: string, spec: object): KubeObject {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { namespace, name, labels: labelsOf(component) },
    spec: { selector: { [componentLabel]: component }, ...spec },
  };
}
