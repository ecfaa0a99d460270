/**
 * Domain names: RFC 1035 sections 3.1 and 4.1.4, presentation format as in section 5.1.
 * Limits: label 63 bytes, name 255 bytes on the wire; a compression pointer only points backwards.
 */
import { isIPv4, isIPv6 } from "#lib/ip";
import ipaddr from "ipaddr.js";
import { DnsFormatError } from "./dns-types.ts";

const MAX_NAME = 255;
const MAX_LABEL = 63;
const DOT = 0x2e;
const BACKSLASH = 0x5c;

/** How each byte of a label is written; characters that mean something in zone files are escaped. */
const escaped: readonly string[] = Array.from({ length: 256 }, (_, byte) => {
  const text = String.fromCharCode(byte);
  if ('."\\();@$'.includes(text)) return `\\${text}`;
  return byte > 0x20 && byte < 0x7f ? text : `\\${String(byte).padStart(3, "0")}`;
});

export interface ReadName {
  readonly name: string;
  /** Offset after the name at the place where it was read (after the first pointer, if any). */
  readonly end: number;
}

/**
 * Reads the name at `offset`, following compression pointers.
 * Every pointer must lead to an earlier place than all before it, so no message can make this loop.
 */
export function readName(bytes: Uint8Array, offset: number): ReadName {
  let name = "";
  let at = offset;
  let end: number | undefined;
  let lowest = offset;
  let wireLength = 1;
  for (;;) {
    const length = bytes[at];
    if (length === undefined) throw new DnsFormatError("name runs past the end of the message");
    if (length === 0) return { name: name === "" ? "." : name, end: end ?? at + 1 };
    if (length > MAX_LABEL) {
      end ??= at + 2;
      at = pointerTarget(bytes, at);
      if (at >= lowest) throw new DnsFormatError("compression pointer does not point backwards");
      lowest = at;
      continue;
    }
    const stop = at + 1 + length;
    wireLength += length + 1;
    if (wireLength > MAX_NAME) throw new DnsFormatError(`name longer than ${MAX_NAME} bytes`);
    if (stop > bytes.length) throw new DnsFormatError("label runs past the end of the message");
    for (let i = at + 1; i < stop; i++) name += escaped[bytes[i] ?? 0];
    name += ".";
    at = stop;
  }
}

function pointerTarget(bytes: Uint8Array, at: number): number {
  const high = bytes[at] ?? 0;
  const low = bytes[at + 1];
  if (high < 0xc0) throw new DnsFormatError(`label type ${high >> 6} is not defined`);
  if (low === undefined) throw new DnsFormatError("name runs past the end of the message");
  return ((high & 0x3f) << 8) | low;
}

/**
 * Where names already stand in a message, for compression. Most messages have one name, which every record repeats as a
 * whole: the suffixes of the first name are noted only when another name comes.
 */
export class NameOffsets {
  #first: { readonly name: string; readonly at: number } | undefined;
  readonly #suffixes = new Map<string, number>();
  #noted = false;

  /** The offset of exactly this text, if it stands somewhere. */
  find(suffix: string): number | undefined {
    if (this.#first?.name === suffix) return this.#first.at;
    if (!this.#noted) this.#noteFirst();
    return this.#suffixes.get(suffix);
  }

  /** Whether a name is the first one; its suffixes need not be noted one by one. */
  isFirst(name: string, at: number): boolean {
    if (this.#first !== undefined) return false;
    this.#first = { name, at };
    return true;
  }

  note(suffix: string, at: number): void {
    this.#suffixes.set(suffix, at);
  }

  #noteFirst(): void {
    this.#noted = true;
    if (this.#first === undefined) return;
    const { name, at } = this.#first;
    let offset = at;
    for (let from = 0; from < name.length;) {
      this.note(name.slice(from), offset);
      const label = labelEnd(name, from);
      offset += 1 + label.bytes;
      from = label.next;
    }
  }
}

/** The length on the wire of the label that starts at `name[from]`, and the index after its dot. */
function labelEnd(name: string, from: number): { bytes: number; next: number } {
  let bytes = 0;
  for (let i = from; i < name.length; i++) {
    const code = name.charCodeAt(i);
    if (code === DOT) return { bytes, next: i + 1 };
    if (code === BACKSLASH) i += /^\d{3}/.test(name.slice(i + 1, i + 4)) ? 3 : 1;
    bytes += 1;
  }
  return { bytes, next: name.length };
}

/**
 * Writes an absolute name at `offset` and returns the offset after it; with `known`, in compressed form, noting the
 * new suffixes there. Only suffixes of equal case are shared, so that every name keeps its case.
 */
export function writeName(out: Buffer, offset: number, name: string, known?: NameOffsets): number {
  // Text this long is rare and may be too long for the wire: written in full, so that its length is counted.
  const shared = name.length < MAX_NAME && name !== "." ? known : undefined;
  const first = shared?.isFirst(name, offset) === true;
  let at = offset;
  let from = name === "." ? 1 : 0;
  let wireLength = 1;
  while (from < name.length) {
    if (shared !== undefined && !first) {
      const suffix = from === 0 ? name : name.slice(from);
      const seen = shared.find(suffix);
      if (seen !== undefined) return out.writeUInt16BE(0xc000 | seen, at);
      if (at < 0x4000) shared.note(suffix, at);
    }
    const start = at + 1;
    const label = writeLabel(out, start, name, from);
    const length = label.at - start;
    if (length === 0 || length > MAX_LABEL) throw new DnsFormatError(`label of ${length} bytes in ${name}`);
    wireLength += length + 1;
    if (wireLength > MAX_NAME) throw new DnsFormatError(`name longer than ${MAX_NAME} bytes: ${name}`);
    out[at] = length;
    at = label.at;
    from = label.from;
  }
  return out.writeUInt8(0, at);
}

/** Writes the label that starts at `name[from]`; returns the offset after its bytes and the index after its dot. */
function writeLabel(out: Buffer, start: number, name: string, from: number): { at: number; from: number } {
  let at = start;
  for (let i = from; i < name.length; i++) {
    const code = name.charCodeAt(i);
    if (code === DOT) return { at, from: i + 1 };
    if (at >= out.length) throw new DnsFormatError("message too long");
    if (code === BACKSLASH) {
      const decimal = /^\d{3}/.exec(name.slice(i + 1, i + 4))?.[0];
      out[at++] = escapedByte(name, decimal, i);
      i += decimal === undefined ? 1 : 3;
    } else {
      if (code > 0xff) throw new DnsFormatError(`character outside of Latin-1 in ${name}`);
      out[at++] = code;
    }
  }
  throw new DnsFormatError(`name is not absolute (no dot at its end): ${name}`);
}

function escapedByte(name: string, decimal: string | undefined, at: number): number {
  const value = decimal === undefined ? name.charCodeAt(at + 1) : Number(decimal);
  if (!(value <= 0xff)) throw new DnsFormatError(`bad escape in ${name}`);
  return value;
}

/** The name with a dot at its end. */
export function absoluteName(name: string): string {
  return name.endsWith(".") ? name : `${name}.`;
}

/** The labels of an absolute name without escapes, left to right; none for the root. */
export function labelsOf(name: string): string[] {
  return name === "." ? [] : name.slice(0, -1).split(".");
}

/** Whether `name` equals `zone` or lies below it; both absolute and in lower case. */
export function isInZone(name: string, zone: string): boolean {
  return zone === "." || name === zone || name.endsWith(`.${zone}`);
}

/** `10.96.0.1` -> `1.0.96.10.in-addr.arpa.`; IPv6 by nibbles below `ip6.arpa.` (RFC 1035 3.5, RFC 3596 2.5). */
export function reverseName(address: string): string {
  if (isIPv4(address)) return `${address.split(".").reverse().join(".")}.in-addr.arpa.`;
  const hex = Buffer.from(ipaddr.IPv6.parse(address).toByteArray()).toString("hex");
  return `${hex.split("").reverse().join(".")}.ip6.arpa.`;
}

/** The address a complete reverse name stands for, in canonical text; undefined for every other name. */
export function addressOfReverseName(name: string): string | undefined {
  const labels = labelsOf(name.toLowerCase());
  const zone = labels.splice(-2).join(".");
  if (zone === "in-addr.arpa" && labels.length === 4) {
    const address = labels.reverse().join(".");
    return isIPv4(address) ? address : undefined;
  }
  if (zone !== "ip6.arpa" || labels.length !== 32 || !labels.every((label) => /^[0-9a-f]$/.test(label))) {
    return undefined;
  }
  const hex = labels.reverse().join("");
  const address = hex.replace(/.{4}(?=.)/g, "$&:");
  return isIPv6(address) ? ipaddr.IPv6.parse(address).toString() : undefined;
}
