/** Values of `inroad dns`' options. */
import { InroadError } from "#lib/errors";
import { parseDnsEndpoint, type DnsEndpoint } from "#serve/dns";

/** Name servers from text. Throws `InvalidOption` for the first that is none. */
export function endpointsOf(texts: readonly string[], where: string): readonly DnsEndpoint[] {
  return texts.map((text) => {
    const endpoint = parseDnsEndpoint(text);
    if (endpoint !== undefined) return endpoint;
    const mend =
      "write an IP address, with a port if it is not 53: 192.0.2.1, 192.0.2.1:5353, [2001:db8::1]:5353";
    throw invalid(`"${text}" is not an address`, where, mend);
  });
}

/** `corp.example=192.0.2.1,192.0.2.2:5353` */
export function stubDomain(text: string): { domain: string; servers: readonly DnsEndpoint[] } {
  const where = "--stub";
  const [domain = "", servers, ...more] = text.split("=");
  if (servers === undefined || more.length > 0) {
    throw invalid(
      `"${text}" is not DOMAIN=ADDRESS[,ADDRESS...]`,
      where,
      "for example corp.example=192.0.2.1",
    );
  }
  return { domain: domainName(domain, where), servers: endpointsOf(servers.split(","), where) };
}

/** A domain in lower case without a dot at its end. */
export function domainName(text: string, where: string): string {
  const name = text.toLowerCase().replace(/\.$/, "");
  const label = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;
  if (name.length <= 253 && name.split(".").every((part) => label.test(part))) return name;
  throw invalid(`"${text}" is not a domain name`, where, "for example corp.example");
}

/** A whole number of seconds within bounds. */
export function seconds(text: string, where: string, [least, most]: readonly [number, number]): number {
  const value = Number(text);
  if (/^\d{1,6}$/.test(text) && value >= least && value <= most) return value;
  throw invalid(`"${text}" is no number of seconds`, where, `write a whole number from ${least} to ${most}`);
}

/** `127.0.0.1:9153`; undefined for `none`. */
export function httpListen(text: string, where: string): { host: string; port: number } | undefined {
  if (text === "none") return undefined;
  const endpoint = /:\d+$/.test(text) ? parseDnsEndpoint(text) : undefined;
  if (endpoint !== undefined) return { host: endpoint.address, port: endpoint.port };
  throw invalid(`"${text}" is not ADDRESS:PORT`, where, "for example 127.0.0.1:9153, or none");
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

function invalid(message: string, where: string, mend: string): InroadError {
  return new InroadError("InvalidOption", message, { where, mend });
}
