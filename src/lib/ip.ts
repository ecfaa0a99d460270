import ipaddr from "ipaddr.js";

/** True for a dotted IPv4 address in canonical form (four decimal parts). */
export function isIPv4(text: string): boolean {
  return ipaddr.IPv4.isValidFourPartDecimal(text);
}

/** True for any textual IPv6 address without a zone. */
export function isIPv6(text: string): boolean {
  return !text.includes("%") && ipaddr.IPv6.isValid(text);
}

/** The address as an unsigned 32-bit number. Throws for anything but IPv4. */
export function ipv4ToNumber(text: string): number {
  const [a = 0, b = 0, c = 0, d = 0] = ipaddr.IPv4.parse(text).octets;
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
}

/** The dotted form of an unsigned 32-bit number. */
export function numberToIPv4(value: number): string {
  return [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255].join(".");
}

export interface Cidr {
  /** First address of the network, as a number. */
  readonly base: number;
  readonly prefix: number;
  /** Number of addresses. */
  readonly size: number;
}

/** An IPv4 network such as `10.244.0.0/16`; host bits are cleared. Throws if it is not one. */
export function parseCidr(text: string): Cidr {
  const [address, prefix] = ipaddr.IPv4.parseCIDR(text);
  const size = 2 ** (32 - prefix);
  const value = ipv4ToNumber(address.toString());
  return { base: value - (value % size), prefix, size };
}

/** Whether an IPv4 address lies in a network. */
export function inCidr(address: string, cidr: Cidr): boolean {
  if (!isIPv4(address)) return false;
  const value = ipv4ToNumber(address);
  return value >= cidr.base && value < cidr.base + cidr.size;
}
