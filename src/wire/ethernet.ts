/** Ethernet frames (IEEE 802.3): two addresses, the type of what follows, and that. VLAN tags are the kernel's affair. Pure. */

/** Bytes before the payload. */
export const ETHERNET_HEADER = 14;
export const etherTypes = { arp: 0x0806, ipv6: 0x86dd } as const;
export const BROADCAST = "ff:ff:ff:ff:ff:ff";

/** `02:00:5e:10:00:01` for the six bytes at an offset. */
export function readMac(bytes: Uint8Array, at: number): string {
  return Buffer.from(bytes.subarray(at, at + 6))
    .toString("hex")
    .replace(/..(?!$)/g, "$&:");
}

/** The six bytes of a text as `readMac` gives it. */
export function macBytes(mac: string): Buffer {
  return Buffer.from(mac.replaceAll(":", ""), "hex");
}

/** The type that a frame says its payload has; undefined for what is too short to be a frame. */
export function etherType(frame: Uint8Array): number | undefined {
  const [high, low] = [frame[12], frame[13]];
  return high === undefined || low === undefined ? undefined : (high << 8) | low;
}

/** A frame; the device pads it to the shortest length. */
export function ethernetFrame(
  { to, from, type }: { readonly to: string; readonly from: string; readonly type: number },
  payload: Uint8Array,
): Buffer {
  return Buffer.concat([macBytes(to), macBytes(from), Buffer.of(type >> 8, type & 0xff), payload]);
}
