import { isIPv4, isIPv6 } from "#lib/ip";
import { invalid, invalidAll, type FieldError } from "./errors.ts";

const notAddress = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
const notCidr = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";

/** Old fields tolerate leading zeros in IPv4 addresses; they are read as decimal. */
function canonicalIPv4(text: string): string | undefined {
  if (!/^\d+(\.\d+){3}$/.test(text)) return undefined;
  const plain = text.split(".").map(Number).join(".");
  return isIPv4(plain) ? plain : undefined;
}

/** The family of an address, or undefined when the text is none. */
export function addressFamily(text: string): "IPv4" | "IPv6" | undefined {
  if (canonicalIPv4(text) !== undefined) return "IPv4";
  return isIPv6(text) ? "IPv6" : undefined;
}

export function addressErrors(field: string, text: string): FieldError[] {
  return addressFamily(text) === undefined ? [invalid(field, text, notAddress)] : [];
}

/** The family of a network such as `10.0.0.0/8`, or undefined when the text is none. */
export function cidrFamily(text: string): "IPv4" | "IPv6" | undefined {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
  const family = match ? addressFamily(match[1] ?? "") : undefined;
  const longest = family === "IPv4" ? 32 : 128;
  return family !== undefined && Number(match?.[2]) <= longest ? family : undefined;
}

export function cidrErrors(field: string, text: string): FieldError[] {
  return cidrFamily(text) === undefined ? [invalid(field, text, notCidr)] : [];
}

/** Addresses that can never be an endpoint: unspecified, loopback, link-local. */
export function specialAddressErrors(field: string, text: string): FieldError[] {
  const address = canonicalIPv4(text) ?? text.toLowerCase();
  const details: string[] = [];
  if (address === "0.0.0.0" || /^[0:]+$/.test(address)) details.push(`may not be unspecified (${text})`);
  else if (address.startsWith("127.") || address === "::1") {
    details.push("may not be in the loopback range (127.0.0.0/8, ::1/128)");
  } else if (address.startsWith("169.254.") || /^fe[89ab][0-9a-f]:/.test(address)) {
    details.push("may not be in the link-local range (169.254.0.0/16, fe80::/10)");
  } else if (address.startsWith("224.0.0.") || /^ff[0-9a-f]2:/.test(address)) {
    details.push("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
  }
  return invalidAll(field, text, details);
}
