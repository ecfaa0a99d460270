/** The values of a DNS message. Names are absolute presentation text (`api.example.com.`, root is `.`). */

/** Type numbers by name: the types whose data we read and write, and the query-only ones (RFC 1035 3.2, RFC 5395). */
const typeNumbers: Readonly<Record<string, number>> = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  OPT: 41,
  IXFR: 251,
  AXFR: 252,
  ANY: 255,
};

const typeNames: ReadonlyMap<number, string> = new Map(
  Object.entries(typeNumbers).map(([name, number]) => [number, name]),
);

/** `A` for 1; `TYPE65` for a type without a name here (RFC 3597 section 5). */
export function typeName(number: number): string {
  return typeNames.get(number) ?? `TYPE${number}`;
}

/** The number of `A` or `TYPE65`, undefined for anything else. */
export function typeNumber(name: string): number | undefined {
  const known = typeNumbers[name];
  if (known !== undefined) return known;
  const match = /^TYPE(\d{1,5})$/.exec(name);
  const number = Number(match?.[1]);
  return match !== null && number <= 0xffff ? number : undefined;
}

/** Response codes (RFC 1035 4.1.1, RFC 6891 9). */
export const rcodes = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  BADVERS: 16,
} as const;

const rcodeNames: ReadonlyMap<number, string> = new Map(
  Object.entries(rcodes).map(([name, number]) => [number, name]),
);

/** `NXDOMAIN` for 3; `RCODE9` for a code without a name here. */
export function rcodeName(rcode: number): string {
  return rcodeNames.get(rcode) ?? `RCODE${rcode}`;
}

export interface Question {
  readonly name: string;
  /** `A`, `SRV`, `TYPE65` ... */
  readonly type: string;
  /** 1 is IN. */
  readonly class: number;
}

interface RecordHead {
  readonly name: string;
  /** Seconds. */
  readonly ttl: number;
  /** IN (1) when absent. */
  readonly class?: number;
}

export type RecordData =
  | { readonly type: "A" | "AAAA"; readonly address: string }
  | { readonly type: "NS" | "CNAME" | "PTR"; readonly target: string }
  | { readonly type: "MX"; readonly preference: number; readonly exchange: string }
  | {
      readonly type: "SRV";
      readonly priority: number;
      readonly weight: number;
      readonly port: number;
      readonly target: string;
    }
  /** Each text is a byte string of at most 255 characters U+0000 to U+00FF. */
  | { readonly type: "TXT"; readonly texts: readonly string[] }
  | {
      readonly type: "SOA";
      readonly primary: string;
      readonly mailbox: string;
      readonly serial: number;
      readonly refresh: number;
      readonly retry: number;
      readonly expire: number;
      /** TTL of negative answers is the lower of this and the record's own (RFC 2308 section 5). */
      readonly minimum: number;
    }
  /** Data of every other type, as it stands in the message. */
  | { readonly type: `TYPE${number}`; readonly data: Uint8Array };

export type ResourceRecord = RecordHead & RecordData;

/** EDNS(0), the OPT pseudo-record (RFC 6891). Options are not kept: no option changes an answer here. */
export interface Edns {
  /** The largest UDP message the sender takes, bytes. */
  readonly udpSize: number;
  readonly version: number;
  readonly dnssecOk: boolean;
}

export interface Message {
  readonly id: number;
  readonly response: boolean;
  /** 0 is QUERY. */
  readonly opcode: number;
  readonly authoritative: boolean;
  readonly truncated: boolean;
  readonly recursionDesired: boolean;
  readonly recursionAvailable: boolean;
  readonly authenticData: boolean;
  readonly checkingDisabled: boolean;
  /** With the upper bits from EDNS. */
  readonly rcode: number;
  readonly questions: readonly Question[];
  readonly answers: readonly ResourceRecord[];
  readonly authorities: readonly ResourceRecord[];
  /** Without the OPT record, which is `edns`. */
  readonly additionals: readonly ResourceRecord[];
  readonly edns?: Edns;
}

/** Bytes that are no DNS message, or a value that does not fit into one. */
export class DnsFormatError extends Error {
  readonly code = "DnsFormat";
}
