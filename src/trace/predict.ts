/** Where a request would go, by the functions that plan the rules. */
import type { Snapshot } from "#model";
import { drive, type Pick, type Route } from "#path";
import { withFaults } from "./faults.ts";
import { startOf, type PredictOptions } from "./start.ts";
import type { TraceRequest } from "./types.ts";

export interface Prediction {
  readonly snapshot: Snapshot;
  readonly request: TraceRequest;
  readonly route: Route;
}

/**
 * Drives the request through the hops. `pick` chooses where a hop balances: the first alternative if not given, what was
 * seen with `followEvidence`.
 * Throws InroadError `UnknownPlace` or `BadUrl`, exit status 2.
 */
export function predict(
  snapshot: Snapshot,
  request: TraceRequest,
  pick: Pick = () => 0,
  options: PredictOptions = {},
): Prediction {
  const start = startOf(snapshot, request, options);
  const route = withFaults(snapshot, drive(snapshot, start, pick, options.proxies), options.faults ?? []);
  return { snapshot, request, route };
}
