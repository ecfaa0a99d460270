/**
 * Objects under the type of their kind. API servers validate what they store; where an object is malformed all the
 * same, `compile` catches the exception and goes on without that object. Hence the casts, here and nowhere else.
 */
import type { KubeObject } from "#kube";
import type { Node, Pod, Secret, Service } from "kubernetes-types/core/v1.js";
import type { EndpointSlice } from "kubernetes-types/discovery/v1.js";
import type { Ingress, IngressClass, NetworkPolicy } from "kubernetes-types/networking/v1.js";

export const asEndpointSlice = (object: KubeObject): EndpointSlice => object as unknown as EndpointSlice;
export const asIngress = (object: KubeObject): Ingress => object as unknown as Ingress;
export const asIngressClass = (object: KubeObject): IngressClass => object as unknown as IngressClass;
export const asNetworkPolicy = (object: KubeObject): NetworkPolicy => object as unknown as NetworkPolicy;
export const asNode = (object: KubeObject): Node => object as unknown as Node;
export const asPod = (object: KubeObject): Pod => object as unknown as Pod;
export const asSecret = (object: KubeObject): Secret => object as unknown as Secret;
export const asService = (object: KubeObject): Service => object as unknown as Service;
