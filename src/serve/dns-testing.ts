/** Queries for this folder's tests, and name servers that do as they are told. */
import type { TestContext } from "node:test";
import { silentLog } from "#lib/log";
import { encodeMessage, type Message, type ResourceRecord } from "#wire/dns";
import type { DnsReply } from "./dns-response.ts";
import { startDnsServer } from "./dns-server.ts";
import type { DnsEndpoint } from "./dns-sockets.ts";

/** The bytes of a query for A records without EDNS. */
export function queryBytes(name: string, id: number, changes: Partial<Message> = {}): Uint8Array {
  return encodeMessage({
    id,
    response: false,
    opcode: 0,
    authoritative: false,
    truncated: false,
    recursionDesired: true,
    recursionAvailable: false,
    authenticData: false,
    checkingDisabled: false,
    rcode: 0,
    questions: [{ name, type: "A", class: 1 }],
    answers: [],
    authorities: [],
    additionals: [],
    ...changes,
  });
}

/** A name server on loopback, over UDP and TCP with one port number; what `answer` leaves open is silence. */
export async function nameServer(
  t: Pick<TestContext, "after">,
  answer: (name: string, transport: "udp" | "tcp") => readonly string[] | DnsReply | undefined,
): Promise<DnsEndpoint> {
  const handler: Parameters<typeof startDnsServer>[0]["handler"] = ({ question }, peer) => {
    const said = answer(question.name, peer.transport);
    if (said === undefined) return new Promise(() => undefined);
    return "rcode" in said ? said : { rcode: 0, answers: addressesOf(question.name, said) };
  };
  for (;;) {
    const udp = await startDnsServer({ udp: { address: "127.0.0.1", port: 0 }, log: silentLog, handler });
    const port = udp.udpPort ?? 0;
    try {
      const tcp = await startDnsServer({ tcp: { address: "127.0.0.1", port }, log: silentLog, handler });
      t.after(() => Promise.all([udp.close(), tcp.close()]));
      return { address: "127.0.0.1", port };
    } catch {
      // Somebody has this number for TCP: another one.
      await udp.close();
    }
  }
}

function addressesOf(name: string, addresses: readonly string[]): ResourceRecord[] {
  return addresses.map((address) => ({ name, ttl: 5, type: "A", address }));
}
