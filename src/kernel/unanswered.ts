/**
 * Connections that were sent to another address (DNAT) and never answered, by netlink: the kernel itself leaves out all
 * others, so that looking often costs little even where the table is large.
 *
 * Message format: linux/netfilter/nfnetlink_conntrack.h (attributes in network byte order), status bits of
 * nf_conntrack_common.h.
 */
import ipaddr from "ipaddr.js";
import { dumpNetlink } from "./libc.ts";
import { inNetNs } from "./netns.ts";
import { attribute, message, native16, requestFlags, u16, u8 } from "./netlink-bytes.ts";
import type { NetNs, Tuple } from "./types.ts";

export interface UnansweredConnection {
  readonly original: Tuple;
  /** Where it was sent to: the address and port that an answer would come from. */
  readonly endpoint: { readonly address: string; readonly port: number };
}

const NETLINK_NETFILTER = 12;
const IPCTNL_MSG_CT_GET = (1 << 8) | 1;
const CTA_TUPLE_ORIG = 1;
const CTA_TUPLE_REPLY = 2;
const CTA_STATUS = 3;
const CTA_STATUS_MASK = 26;
const IPS_SEEN_REPLY = 1 << 1;
const IPS_DST_NAT = 1 << 5;
const IPPROTO_TCP = 6;

/** The TCP connections of a namespace that wait for their first answer. Needs CAP_NET_ADMIN there. */
export function unansweredConnections(ns: NetNs | undefined): readonly UnansweredConnection[] {
  const request = message(
    IPCTNL_MSG_CT_GET,
    requestFlags.dump,
    // struct nfgenmsg: any family, version 0, no resource.
    u8(0, 0),
    u16(0),
    attribute(CTA_STATUS, u32Network(IPS_DST_NAT)),
    attribute(CTA_STATUS_MASK, u32Network(IPS_DST_NAT | IPS_SEEN_REPLY)),
  );
  const answers = inNetNs(ns, () => dumpNetlink(NETLINK_NETFILTER, request));
  return answers.flatMap((body) => readEntry(body) ?? []);
}

function u32Network(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** An entry of the table, without its netlink header; undefined for other protocols and for what cannot be read. */
export function readEntry(body: Buffer): UnansweredConnection | undefined {
  // Kernels before 5.12 do not filter by status.
  const entry = attributesOf(body.subarray(4));
  const status = entry.get(CTA_STATUS);
  if (status?.length !== 4 || (status.readUInt32BE() & (IPS_DST_NAT | IPS_SEEN_REPLY)) !== IPS_DST_NAT) {
    return undefined;
  }
  const original = tupleOf(entry.get(CTA_TUPLE_ORIG));
  const reply = tupleOf(entry.get(CTA_TUPLE_REPLY));
  if (original === undefined || reply === undefined) return undefined;
  return { original, endpoint: { address: reply.source, port: reply.sourcePort } };
}

/** CTA_TUPLE_IP with the addresses of either family, CTA_TUPLE_PROTO with protocol and ports. */
function tupleOf(bytes: Buffer | undefined): Tuple | undefined {
  const parts = attributesOf(bytes);
  const ip = attributesOf(parts.get(1));
  const proto = attributesOf(parts.get(2));
  const source = addressOf(ip.get(1) ?? ip.get(3));
  const destination = addressOf(ip.get(2) ?? ip.get(4));
  const [sourcePort, destinationPort] = [proto.get(2), proto.get(3)];
  if (proto.get(1)?.[0] !== IPPROTO_TCP || source === undefined || destination === undefined)
    return undefined;
  if (sourcePort?.length !== 2 || destinationPort?.length !== 2) return undefined;
  const ports = { sourcePort: sourcePort.readUInt16BE(), destinationPort: destinationPort.readUInt16BE() };
  return { source, destination, ...ports };
}

function addressOf(bytes: Buffer | undefined): string | undefined {
  if (bytes?.length === 4) return [...bytes].join(".");
  return bytes?.length === 16 ? ipaddr.fromByteArray([...bytes]).toString() : undefined;
}

/** By type, without the bits that say how to read them. What runs over the end is left out. */
function attributesOf(bytes: Buffer = Buffer.alloc(0)): ReadonlyMap<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (let at = 0; at + 4 <= bytes.length;) {
    const length = native16(bytes, at);
    if (length < 4 || at + length > bytes.length) break;
    found.set(native16(bytes, at + 2) & 0x3fff, bytes.subarray(at + 4, at + length));
    at += (length + 3) & ~3;
  }
  return found;
}
