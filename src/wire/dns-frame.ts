/** DNS over TCP: every message behind its length in two bytes (RFC 1035 section 4.2.2, RFC 7766 section 8). */

/** The message behind its length. Throws RangeError beyond 65535 bytes. */
export function frame(message: Uint8Array): Uint8Array {
  const framed = Buffer.allocUnsafe(message.length + 2);
  framed.writeUInt16BE(message.length, 0);
  framed.set(message, 2);
  return framed;
}

export interface FrameReader {
  /** Takes the next bytes of the stream and gives the messages that are complete now, in order. */
  push(chunk: Uint8Array): Uint8Array[];
}

/** Cuts a byte stream into messages. Holds at most one incomplete message (64 kB) between calls. */
export function createFrameReader(): FrameReader {
  let pending: Buffer = Buffer.alloc(0);
  return {
    push(chunk) {
      const bytes = pending.length === 0 ? Buffer.from(chunk) : Buffer.concat([pending, chunk]);
      const messages: Uint8Array[] = [];
      let at = 0;
      while (at + 2 <= bytes.length) {
        const end = at + 2 + bytes.readUInt16BE(at);
        if (end > bytes.length) break;
        messages.push(bytes.subarray(at + 2, end));
        at = end;
      }
      pending = bytes.subarray(at);
      return messages;
    },
  };
}
