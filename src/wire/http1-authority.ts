/** Host and port as they stand in Host fields and absolute targets (RFC 3986 section 3.2). */
import { isIPv6 } from "#lib/ip";
import { AUTHORITY } from "./http1-chars.ts";

/** Splits `host[:port]`. Undefined if it is not valid; user information is never valid here (RFC 9110 section 4.2.4). */
export function parseAuthority(
  text: string,
): { readonly host: string; readonly port: number | undefined } | undefined {
  if (text.length > 270) return undefined;
  for (let i = 0; i < text.length; i++) if (AUTHORITY[text.charCodeAt(i)] !== 1) return undefined;
  const match = text.startsWith("[")
    ? /^(\[[^[\]]*\])(?::([0-9]*))?$/.exec(text)
    : /^([^:[\]]+)(?::([0-9]*))?$/.exec(text);
  const host = match?.[1];
  if (host === undefined) return undefined;
  if (host.startsWith("[") && !isIPv6(host.slice(1, -1))) return undefined;
  const port = match?.[2] === undefined || match[2] === "" ? undefined : Number(match[2]);
  if (port !== undefined && port > 65_535) return undefined;
  return { host, port };
}

/** The host of an authority as routing compares it: lower case, without port and without a final dot. */
export function routingHost(authority: string): string {
  const host = parseAuthority(authority)?.host ?? authority;
  const bare = host.length > 1 && host.endsWith(".") ? host.slice(0, -1) : host;
  return bare.toLowerCase();
}
