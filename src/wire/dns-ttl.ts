/** Ages a response without decoding it as a whole: for caches that keep bytes. */
import { readName } from "./dns-name.ts";
import { DnsFormatError } from "./dns-types.ts";

const OPT = 41;

/** Offset of the TTL field of every record of a message, the OPT record's excepted. Throws DnsFormatError. */
export function ttlOffsets(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const offsets: number[] = [];
  try {
    let at = 12;
    for (let i = view.getUint16(4); i > 0; i--) at = readName(bytes, at).end + 4;
    for (let i = view.getUint16(6) + view.getUint16(8) + view.getUint16(10); i > 0; i--) {
      const end = readName(bytes, at).end;
      if (view.getUint16(end) !== OPT) offsets.push(end + 4);
      at = end + 10 + view.getUint16(end + 8);
    }
  } catch (error) {
    if (error instanceof RangeError) throw new DnsFormatError("message ends too early");
    throw error;
  }
  return offsets;
}
