/** Records as lines of a zone file (RFC 1035 section 5.1), for people, traces and tests. */
import type { Message, ResourceRecord } from "./dns-types.ts";
import { rcodeName } from "./dns-types.ts";

/** `api.default.svc.cluster.local. 5 IN A 10.96.1.1` */
export function formatRecord(record: ResourceRecord): string {
  const recordClass = record.class === undefined ? "IN" : `CLASS${record.class}`;
  return `${record.name} ${record.ttl} ${recordClass} ${record.type} ${formatData(record)}`;
}

function formatData(record: ResourceRecord): string {
  switch (record.type) {
    case "A":
    case "AAAA":
      return record.address;
    case "NS":
    case "CNAME":
    case "PTR":
      return record.target;
    case "MX":
      return `${record.preference} ${record.exchange}`;
    case "SRV":
      return `${record.priority} ${record.weight} ${record.port} ${record.target}`;
    case "TXT":
      return record.texts.map(quoted).join(" ");
    case "SOA":
      return [
        record.primary,
        record.mailbox,
        record.serial,
        record.refresh,
        record.retry,
        record.expire,
        record.minimum,
      ].join(" ");
    default:
      return `\\# ${record.data.length} ${Buffer.from(record.data).toString("hex")}`.trimEnd();
  }
}

function quoted(text: string): string {
  const escaped = text.split("").map((character) => {
    if (character === '"' || character === "\\") return `\\${character}`;
    const code = character.charCodeAt(0);
    return code >= 0x20 && code < 0x7f ? character : `\\${String(code).padStart(3, "0")}`;
  });
  return `"${escaped.join("")}"`;
}

/** A response in a few lines: status, then its answers, or the authority of a negative answer. */
export function formatAnswer(message: Message): string[] {
  const flags = [
    message.authoritative ? "aa" : "",
    message.truncated ? "tc" : "",
    message.recursionAvailable ? "ra" : "",
  ];
  const status = [rcodeName(message.rcode), ...flags.filter((flag) => flag !== "")].join(" ");
  return [status, ...[...message.answers, ...message.authorities].map(formatRecord)];
}
