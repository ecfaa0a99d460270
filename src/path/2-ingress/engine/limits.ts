import { defaultHeadLimits, type HeadLimits } from "#wire/http1-head";

/** Bounds of the engine. Times are milliseconds, sizes bytes. */
export interface EngineLimits {
  readonly head: HeadLimits;
  /** Largest request body; more is answered 413. Infinity: no bound, bodies are streamed anyway. */
  readonly requestBodyBytes: number;
  /** From the first byte of a request head to its last, else 408. Also how long a new connection may stay silent. */
  readonly headMs: number;
  /** How long a connection may stay open without a request. */
  readonly keepAliveMs: number;
  /** To resolve the Service name and connect to it, else 504. */
  readonly connectMs: number;
  /** From the end of the request to the head of the answer, else 504. */
  readonly responseHeadMs: number;
  /** Without any progress of a body, in either direction. */
  readonly idleMs: number;
  /** Without any byte through an upgraded connection. */
  readonly tunnelIdleMs: number;
  /** How long a closed connection is still read, so that its last answer is not lost to a TCP reset. */
  readonly lingerMs: number;
  /**
   * How long after `close()` a kept-alive connection may still begin a request, which is answered and closes it. Ended at
   * once, such a connection would lose a request that is on its way (RFC 9112 section 9.5).
   */
  readonly idleDrainMs: number;
  /** How long `close()` waits for requests in flight. */
  readonly drainMs: number;
  /** Connection attempts per request while connections are refused though endpoints exist. Nothing was sent yet. */
  readonly connectAttempts: number;
}

export const defaultLimits: EngineLimits = {
  head: defaultHeadLimits,
  requestBodyBytes: Number.POSITIVE_INFINITY,
  headMs: 10_000,
  keepAliveMs: 75_000,
  connectMs: 5_000,
  responseHeadMs: 60_000,
  idleMs: 60_000,
  tunnelIdleMs: 3_600_000,
  lingerMs: 2_000,
  idleDrainMs: 5_000,
  drainMs: 30_000,
  connectAttempts: 3,
};
