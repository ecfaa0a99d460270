/** Values of `inroad dns`' options. */
import { InvalidArgumentError } from "commander";
import { InroadError } from "#lib/errors";
import { parseDnsEndpoint, type DnsEndpoint } from "#serve/dns";

/** Name servers from text; throws `InvalidOption` for the first that is none. */
export function endpointsOf(texts: readonly string[], where: string): readonly DnsEndpoint[] {
  return texts.map((text) => {
    const endpoint = parseDnsEndpoint(text);
    if (endpoint !== undefined) return endpoint;
    throw new InroadError("InvalidOption", `"${text}" is not an address`, {
      where,
      mend: "write an IP address, with a port if it is not 53: 192.0.2.1, 192.0.2.1:5353, [2001:db8::1]:5353",
    });
  });
}

/** `corp.example=192.0.2.1,192.0.2.2:5353` */
export function stubDomain(text: string): { domain: string; servers: readonly DnsEndpoint[] } {
  const at = text.indexOf("=");
  const servers = text
    .slice(at + 1)
    .split(",")
    .map(parseDnsEndpoint);
  const known = servers.filter((server) => server !== undefined);
  if (at < 1 || known.length < servers.length) {
    throw new InvalidArgumentError("It must be DOMAIN=ADDRESS[,ADDRESS...], such as corp.example=192.0.2.1.");
  }
  return { domain: domainName(text.slice(0, at)), servers: known };
}

/** A domain in lower case without a dot at its end. */
export function domainName(text: string): string {
  const name = text.toLowerCase().replace(/\.$/, "");
  const label = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;
  if (name.length <= 253 && name.split(".").every((part) => label.test(part))) return name;
  throw new InvalidArgumentError("It must be a domain name.");
}

/** A whole number of seconds within bounds. */
export function seconds(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d{1,6}$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
  };
}

/** `127.0.0.1:9153`; undefined for `none`. */
export function httpListen(text: string): { readonly host: string; readonly port: number } | undefined {
  if (text === "none") return undefined;
  const endpoint = /:\d+$/.test(text) ? parseDnsEndpoint(text) : undefined;
  if (endpoint === undefined) throw new InvalidArgumentError("It must be ADDRESS:PORT, or none.");
  return { host: endpoint.address, port: endpoint.port };
}

/** The search domains that a machine's resolv.conf adds to those of a cluster. The last `search` or `domain` line counts (resolv.conf(5)). */
export function hostSearch(resolvConf: string, domain: string): readonly string[] {
  const lines = resolvConf.split("\n").map((line) => line.trim().split(/\s+/));
  const last = lines.findLast(([keyword]) => keyword === "search" || keyword === "domain") ?? [];
  const own = domain.toLowerCase();
  return last.slice(1).filter((name) => {
    const lower = name.toLowerCase().replace(/\.$/, "");
    return lower !== "" && lower !== own && !lower.endsWith(`.${own}`);
  });
}
