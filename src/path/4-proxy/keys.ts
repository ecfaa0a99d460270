/** What addresses and ports of Services are called, in plans and in rules. */
import type { Protocol, ServiceModel, ServicePort } from "#model";

/** `10.96.0.10 . udp . 53`, which is also how nftables writes it. */
export function addressKey(at: { address: string; protocol: Protocol; port: number }): string {
  return `${at.address} . ${at.protocol.toLowerCase()} . ${at.port}`;
}

/** `default/api-service:http/TCP` */
export function servicePortKey(service: ServiceModel, port: ServicePort): string {
  return `${service.namespace}/${service.name}:${port.name === "" ? port.port : port.name}/${port.protocol}`;
}
