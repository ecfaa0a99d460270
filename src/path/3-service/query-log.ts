/** One line per query in the shape of CoreDNS' log plugin, for those who parse it. */
import { isIPv6 } from "#lib/ip";
import type { Log } from "#lib/log";
import type { Answered } from "#serve/dns";
import { decodeHeader, rcodeName, rcodes } from "#wire/dns";

/** Which queries are logged: all, those denied (NXDOMAIN and NODATA), or those that failed. */
export type QueryLogClass = "all" | "denial" | "error";

/** Logs an answer if it is of the class: `10.244.0.5:41234 - 7 "A IN x.example. udp 40 false 1232" NOERROR qr,aa 74 0.0001s`. */
export function logQuery(log: Log, wanted: QueryLogClass, answered: Answered): void {
  if (wanted === "all" || classOf(answered.reply) === wanted) log.info(queryLine(answered));
}

function classOf(reply: Uint8Array): QueryLogClass | "success" {
  const rcode = (reply[3] ?? 0) & 15;
  const answers = ((reply[6] ?? 0) << 8) | (reply[7] ?? 0);
  if (rcode === rcodes.NXDOMAIN || (rcode === rcodes.NOERROR && answers === 0)) return "denial";
  return rcode === rcodes.NOERROR ? "success" : "error";
}

function queryLine({ asked, peer, request, reply, milliseconds }: Answered): string {
  const { address, port, transport } = peer;
  const from = `${isIPv6(address) ? `[${address}]` : address}:${port}`;
  const edns = asked?.edns;
  const question = [
    asked?.question.type ?? "-",
    asked === undefined || asked.question.class === 1 ? "IN" : `CLASS${asked.question.class}`,
    asked?.question.name ?? ".",
    transport,
    request.length,
    edns?.dnssecOk ?? false,
    transport === "tcp" ? 65_535 : Math.max(edns?.udpSize ?? 512, 512),
  ].join(" ");
  const id = decodeHeader(request)?.id ?? 0;
  const rcode = rcodeName((reply[3] ?? 0) & 15);
  return `${from} - ${id} "${question}" ${rcode} ${flagsOf(reply)} ${reply.length} ${(milliseconds / 1000).toFixed(9)}s`;
}

const flagBits: readonly (readonly [name: string, byte: 2 | 3, bit: number])[] = [
  ["qr", 2, 0x80],
  ["aa", 2, 0x04],
  ["tc", 2, 0x02],
  ["rd", 2, 0x01],
  ["ra", 3, 0x80],
  ["ad", 3, 0x20],
  ["cd", 3, 0x10],
];

function flagsOf(reply: Uint8Array): string {
  return flagBits
    .filter(([, byte, bit]) => ((reply[byte] ?? 0) & bit) !== 0)
    .map(([name]) => name)
    .join(",");
}
