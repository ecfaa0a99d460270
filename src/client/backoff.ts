export interface BackoffOptions {
  /** First delay in milliseconds, at least 1. */
  readonly base: number;
  /** No delay is longer than this, in milliseconds. */
  readonly max: number;
  /** Share of the delay that is random, 0 (none) to 1: clients that failed together do not come back together. */
  readonly jitter?: number;
  /** 0 <= random() < 1. */
  readonly random?: () => number;
}

/** The delay in milliseconds before attempt number `failures` + 1; it doubles with every failure (counted from 1). */
export function backoffDelay(failures: number, options: BackoffOptions): number {
  const { base, max, jitter = 0, random = Math.random } = options;
  const full = Math.min(max, base * 2 ** Math.min(30, Math.max(0, failures - 1)));
  return Math.round(full * (1 - jitter * random()));
}
