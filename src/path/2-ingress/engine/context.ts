/** What the engine needs from outside. It never sees a socket, a clock or a resolver: only these. */
import type { Decision, Reach } from "../plan.ts";
import type { Metrics } from "../metrics.ts";
import type { RecordRing } from "../records.ts";
import type { EngineLimits } from "./limits.ts";
import type { Resolution } from "./resolve-cache.ts";

/** One side of a byte stream. Strings are Latin-1. */
export interface Pipe {
  /** False: the pipe holds enough; wait for its `drained` before writing much more. */
  write(data: Buffer | string): boolean;
  pause(): void;
  resume(): void;
  /** Ends the writing side after everything written. */
  end(): void;
  /** Stops reading for good; what was written is still delivered. */
  close(): void;
  /** Breaks the connection so that the other side cannot take what it got for complete. */
  abort(): void;
}

export interface UpstreamPipe extends Pipe {
  /** Its own end, once it is being opened. */
  local(): { readonly address: string; readonly port: number } | undefined;
  /** The exchange is complete: lets the other side close, then closes. */
  release(): void;
}

/** What happens on a connection to an upstream. */
export interface UpstreamEvents {
  connected(local: { readonly address: string; readonly port: number }): void;
  bytes(chunk: Buffer): void;
  drained(): void;
  /** The other side will send no more. */
  ended(): void;
  /** The connection is gone; `code` is the system's (`ECONNREFUSED`), if it was an error. */
  closed(code: string | undefined): void;
}

/** The client of a connection, as the connection itself proves it. */
export interface Peer {
  readonly address: string;
  readonly port: number;
  /** The port the client connected to, as seen here. */
  readonly localPort: number;
  readonly secure: boolean;
  readonly serverName: string | undefined;
}

export interface EngineContext {
  readonly limits: EngineLimits;
  readonly records: RecordRing;
  readonly metrics: Metrics;
  /** True from the start of a graceful stop: no connection is kept for another request. */
  readonly stopping: () => boolean;
  decide(host: string, path: string): Decision;
  /** `current`: the addresses that the Service has by the snapshot; a cached answer that is none of them is asked anew. */
  resolve(name: string, current: readonly string[]): Resolution | Promise<Resolution>;
  /** Forgets what is cached about a name, after its address failed. */
  forget(name: string): void;
  /** What a connection from here meets by the snapshot. */
  reach(decision: Decision): Reach;
  dial(address: string, port: number, events: UpstreamEvents): UpstreamPipe;
  /** Milliseconds of a clock that only goes forward. */
  now(): number;
  /** Wall clock. */
  date(): Date;
  /** 32 random hexadecimal digits. */
  newRequestId(): string;
}
