/** The DNS message format: bytes <-> values, without any input or output. The door of the `dns-*` files here. */
export { decodeHeader, decodeMessage } from "./dns-decode.ts";
export { encodeMessage } from "./dns-encode.ts";
export { createFrameReader, frame } from "./dns-frame.ts";
export { isResponseTo, isTruncated, questionEnd, withId } from "./dns-match.ts";
export { absoluteName, addressOfReverseName, isInZone, labelsOf, reverseName } from "./dns-name.ts";
export { formatAnswer, formatRecord } from "./dns-text.ts";
export { ttlOffsets } from "./dns-ttl.ts";
export { DnsFormatError, rcodeName, rcodes } from "./dns-types.ts";
export type { Edns, Message, Question, ResourceRecord } from "./dns-types.ts";
