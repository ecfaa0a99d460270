/** What happened to each request, kept for a while: the evidence that `trace` reads. */

export interface RequestRecord {
  readonly requestId: string;
  /** When the request head was complete, ISO 8601. */
  readonly time: string;
  readonly client: { readonly address: string; readonly port: number };
  /** Present for requests over TLS. */
  readonly tls?: { readonly serverName?: string };
  readonly method: string;
  readonly host: string;
  /** Without the query. */
  readonly path: string;
  /** The rule that took the request; absent when none did. */
  rule?: {
    readonly ingress: { readonly namespace: string; readonly name: string };
    readonly field: string;
    readonly pathType: string;
    readonly path: string;
  };
  backend?: { readonly namespace: string; readonly service: string; readonly port: number };
  dns?: { readonly name: string; readonly address: string; readonly answer: string };
  /** The connection that carried the request, or that could not be opened in time: to `address:port` from `localAddress:localPort`. */
  upstream?: {
    readonly address: string;
    readonly port: number;
    readonly localAddress: string;
    readonly localPort: number;
    /** Connections tried, this one included. */
    readonly attempts: number;
  };
  /** Of the answer that the client got; 499 when it went away before. Absent while none was sent. */
  status?: number;
  /** Body bytes without framing; through an upgraded connection all bytes. */
  requestBytes: number;
  responseBytes: number;
  /** Milliseconds since `time`, in the order of events. */
  readonly timings: { resolved?: number; connected?: number; firstByte?: number; total?: number };
  /** Why the request did not end well, with details for operators. */
  error?: string;
}

export interface RecordRing {
  add(record: RequestRecord): void;
  /** All that are kept, the oldest first. */
  list(): readonly RequestRecord[];
  /** Those of one request id, the oldest first: a client may use an id again. */
  find(requestId: string): readonly RequestRecord[];
}

/** Keeps the last `capacity` records. A record is added when its request starts and completed in place. */
export function createRecordRing(capacity: number): RecordRing {
  const slots: RequestRecord[] = [];
  let next = 0;
  const list = (): RequestRecord[] => [...slots.slice(next), ...slots.slice(0, next)];
  return {
    add: (record) => {
      slots[next] = record;
      next = (next + 1) % capacity;
    },
    list,
    find: (requestId) => list().filter((record) => record.requestId === requestId),
  };
}
