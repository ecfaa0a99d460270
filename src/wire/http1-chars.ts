/** Byte classes of HTTP/1 (RFC 9110 section 5.6.2, RFC 9112), as tables: one load per byte on the hot path. */

function table(accept: (byte: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => (accept(byte) ? 1 : 0));
}

const codes = (marks: string): Set<number> => new Set(Array.from(marks, (mark) => mark.charCodeAt(0)));
const tokenMarks = codes("!#$%&'*+-.^_`|~");
const authorityMarks = codes("-._~%!$&'()*+,;=:[]");

function isAlphanumeric(byte: number): boolean {
  return (byte >= 48 && byte <= 57) || (byte >= 65 && byte <= 90) || (byte >= 97 && byte <= 122);
}

/** `tchar`: the bytes of methods, field names and other tokens (RFC 9110 section 5.6.2). */
export const TOKEN = table((byte) => isAlphanumeric(byte) || tokenMarks.has(byte));

/**
 * Bytes allowed inside a line: HTAB, SP, visible ASCII and obs-text (RFC 9110 section 5.5).
 * Every other control byte is refused, NUL, CR and LF above all.
 */
export const TEXT = table((byte) => byte === 9 || (byte >= 32 && byte !== 127));

/** Visible ASCII without `#`: the bytes of a request target; a fragment is never sent (RFC 9112 section 3.2). */
export const TARGET = table((byte) => byte > 32 && byte < 127 && byte !== 35);

/** Bytes of a `uri-host` with optional port, brackets and percent escapes included (RFC 3986 section 3.2.2). */
export const AUTHORITY = table((byte) => isAlphanumeric(byte) || authorityMarks.has(byte));

/** Lower case; `_` becomes `-`, since some backends cannot tell the two apart in field names. */
export const FOLD = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= 65 && byte <= 90 ? byte + 32 : byte === 95 ? 45 : byte,
);

/** Value of a hexadecimal digit, 255 for anything else. */
export const HEX = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte >= 48 && byte <= 57) return byte - 48;
  if (byte >= 65 && byte <= 70) return byte - 55;
  if (byte >= 97 && byte <= 102) return byte - 87;
  return 255;
});

export const HTAB = 9;
export const LF = 10;
export const CR = 13;
export const SP = 32;
export const UNDERSCORE = 95;
export const COLON = 58;
export const SEMICOLON = 59;
