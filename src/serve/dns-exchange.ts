/** One question to one server: by UDP, then by TCP when the answer did not fit (RFC 1035 section 4.2, RFC 7766). */
import { codeOf, messageOf } from "#lib/errors";
import { decodeMessage, encodeMessage, type Message } from "#wire/dns";
import { MAX_UDP } from "./dns-response.ts";
import { socketCarrier } from "./dns-carrier.ts";
import type { DnsEndpoint, DnsSockets } from "./dns-sockets.ts";

export type DnsExchange =
  | { readonly ok: true; readonly message: Message; readonly transport: "udp" | "tcp" }
  | { readonly ok: false; readonly reason: string };

/** Asks `server` for a name (absolute) and type; waits at most `timeoutMs` for each transport. Never rejects. */
export async function askServer(
  server: DnsEndpoint,
  question: { readonly name: string; readonly type: string },
  options: { readonly sockets: DnsSockets; readonly timeoutMs: number },
): Promise<DnsExchange> {
  const carry = socketCarrier(options);
  try {
    const query = queryFor(question);
    const message = decodeMessage(await carry(server, query, "udp"));
    if (!message.truncated) return { ok: true, message, transport: "udp" };
    return { ok: true, message: decodeMessage(await carry(server, query, "tcp")), transport: "tcp" };
  } catch (error) {
    const code = codeOf(error);
    return { ok: false, reason: code === undefined || code === "UpstreamTimeout" ? messageOf(error) : code };
  }
}

/** The bytes of a query with EDNS; its id is 0. */
export function queryFor(question: { readonly name: string; readonly type: string }): Uint8Array {
  return encodeMessage({
    id: 0,
    response: false,
    opcode: 0,
    authoritative: false,
    truncated: false,
    recursionDesired: true,
    recursionAvailable: false,
    authenticData: false,
    checkingDisabled: false,
    rcode: 0,
    questions: [{ ...question, class: 1 }],
    answers: [],
    authorities: [],
    additionals: [],
    edns: { udpSize: MAX_UDP, version: 0, dnssecOk: false },
  });
}
