import ipaddr from "ipaddr.js";

/** True for a dotted IPv4 address in canonical form (four decimal parts). */
export function isIPv4(text: string): boolean {
  return ipaddr.IPv4.isValidFourPartDecimal(text);
}

/** True for any textual IPv6 address without a zone. */
export function isIPv6(text: string): boolean {
  return !text.includes("%") && ipaddr.IPv6.isValid(text);
}

export type IpFamily = "IPv4" | "IPv6";

/** The family of an address that is known to be one. */
export function familyOf(address: string): IpFamily {
  return address.includes(":") ? "IPv6" : "IPv4";
}

/** The one way to write an address (RFC 5952 for IPv6), as the kernel prints it; undefined for anything but an address. */
export function canonicalAddress(text: string): string | undefined {
  if (isIPv4(text)) return text;
  return isIPv6(text) ? ipaddr.IPv6.parse(text).toRFC5952String() : undefined;
}

/** The address that the host part of a URL is, `[fd00::1]` in brackets (RFC 3986, 3.2.2); undefined for a name. */
export function literalAddress(host: string): string | undefined {
  const [, inner] = /^\[(.*)\]$/.exec(host) ?? [];
  return inner === undefined ? canonicalAddress(host) : isIPv6(inner) ? canonicalAddress(inner) : undefined;
}

/** An address and a port as one text, `[fd00::1]:80` in brackets (RFC 5952, 6). */
export function withPort(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** A network of either family with its host bits cleared, `fd00:10:96::/112`; undefined for anything but a network. */
export function canonicalCidr(text: string): string | undefined {
  const [address = "", prefix = ""] = text.split("/");
  if (canonicalAddress(address) === undefined || !/^\d{1,3}$/.test(prefix)) return undefined;
  const bits = Number(prefix);
  if (bits > (familyOf(address) === "IPv4" ? 32 : 128)) return undefined;
  const { IPv4, IPv6 } = ipaddr;
  const network = (familyOf(address) === "IPv4" ? IPv4 : IPv6).networkAddressFromCIDR(`${address}/${bits}`);
  return `${canonicalAddress(network.toString())}/${bits}`;
}

/** Whether an address lies in a network, `fd00::1` in `fd00::/8`; never in one of the other family. */
export function isInside(address: string, cidr: string): boolean {
  if (familyOf(address) !== familyOf(cidr)) return false;
  const [network, bits] = ipaddr.parseCIDR(cidr);
  return ipaddr.parse(address).match(network, bits);
}

/** These networks without those that lie in another one of them, and without duplicates; in the order of their addresses. */
export function withoutContained(cidrs: readonly string[]): readonly string[] {
  const kept: string[] = [];
  for (const { cidr, address } of nested(cidrs.map((one) => ({ cidr: one })))) {
    const last = kept.at(-1);
    if (last === undefined || !isInside(address, last)) kept.push(cidr);
  }
  return kept;
}

/**
 * Sorts things that have a network by its address, the wider of two first. Networks are nested or apart: so what holds one
 * is the last one before it that is in no other.
 */
export function nested<T extends { readonly cidr: string }>(
  things: readonly T[],
): readonly (T & { readonly address: string })[] {
  const keyed = things.map((thing) => {
    const [address = "", bits = ""] = thing.cidr.split("/");
    return { ...thing, address, key: `${addressOrder(address)}/${bits.padStart(3, "0")}` };
  });
  return keyed.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
}

/** A text by which addresses sort: IPv4 before IPv6, then by number. */
export function addressOrder(address: string): string {
  const bytes = ipaddr.parse(address).toByteArray();
  return `${bytes.length === 4 ? 4 : 6}${Buffer.from(bytes).toString("hex")}`;
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

/** The address as an unsigned number of 32 or 128 bits. Throws for anything but an address. */
export function addressNumber(address: string): bigint {
  return BigInt(`0x${Buffer.from(ipaddr.parse(address).toByteArray()).toString("hex")}`);
}

/** The canonical text of a number as an address of a family. Throws for a number that is too large for it. */
export function numberAddress(value: bigint, family: IpFamily): string {
  const digits = value.toString(16).padStart(family === "IPv4" ? 8 : 32, "0");
  const address = ipaddr.fromByteArray([...Buffer.from(digits, "hex")]);
  return address instanceof ipaddr.IPv6 ? address.toRFC5952String() : address.toString();
}

/** Whether an address lies in a network, of either family. Throws for anything but an address and a network. */
export function inNetwork(address: string, network: string): boolean {
  const [base, prefix] = ipaddr.parseCIDR(network);
  const parsed = ipaddr.parse(address);
  return parsed.kind() === base.kind() && parsed.match(base, prefix);
}

/** As `inNetwork`; false for anything that is no address or no network. */
export function isWithin(address: string, network: string): boolean {
  try {
    return inNetwork(address, network);
  } catch {
    return false;
  }
}

/** The address that stands `offset` places behind the first one of a network: 2 in `10.244.0.0/24` is `10.244.0.2`. */
export function addressAt(network: string, offset: number): string {
  const [base = ""] = (canonicalCidr(network) ?? "").split("/");
  return numberAddress(addressNumber(base) + BigInt(offset), familyOf(base));
}
