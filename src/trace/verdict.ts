/** How the way ended: predicted beside observed. */
import type { PodAt, Snapshot } from "#model";
import type { Route, Verdict } from "#path";
import type { Disagreement, Observations, Trace, TraceVerdict } from "./types.ts";

export interface ComparedEnd {
  readonly verdict: TraceVerdict;
  readonly disagreements: readonly Disagreement[];
}

/** The verdict of a route and, where a request was sent, whether it ended as predicted. */
export function compareEnd(
  snapshot: Snapshot,
  route: Route,
  observations: Observations | undefined,
): ComparedEnd {
  const verdict = verdictOf(snapshot, route, observations !== undefined);
  const client = observations?.client;
  if (client === undefined) return { verdict, disagreements: [] };
  const { response, error } = client;
  const failure =
    response === undefined
      ? `no answer: ${error?.message ?? "no reason recorded"}`
      : ingressFailure(response.status, observations ?? {});
  const answered = response === undefined ? failure : `HTTP ${response.status}`;
  const expected = expectation(route.reached);
  // A gateway's error status without a pod's account fits a way that ended before a pod.
  const gatewayError = (response?.status ?? 0) >= 502 && observations?.pod === undefined;
  const agrees = matches(route.reached, response?.status, failure !== undefined, gatewayError);
  if (agrees) return { verdict: withStatus(verdict, response?.status), disagreements: [] };
  const disagreement: Disagreement = {
    where: "verdict",
    component: "client",
    what: "end of the request",
    predicted: [expected],
    observed: failure ?? answered ?? "",
    source: "the client itself",
  };
  const { mend: _mend, ...rest } = verdict;
  return {
    verdict: {
      ...rest,
      outcome:
        failure === undefined
          ? "delivered"
          : timedOut(error?.code, response?.status)
            ? "dropped"
            : "rejected",
      reason: `${failure ?? answered}; predicted was: ${expected}`,
      ...(response === undefined ? {} : { httpStatus: response.status }),
    },
    disagreements: [disagreement],
  };
}

function verdictOf(snapshot: Snapshot, { reached, verdict }: Route, observed: boolean): TraceVerdict {
  const pod = reached.kind === "delivered" ? podOf(snapshot, reached.pod) : undefined;
  const where = pod === undefined ? {} : { pod };
  if (verdict.kind === "delivered") {
    return {
      outcome: "delivered",
      reason: `it reaches pod ${verdict.pod.namespace}/${verdict.pod.name}`,
      ...where,
      observed,
    };
  }
  return {
    outcome: verdict.kind,
    reason: verdict.reason,
    ...(verdict.mend === undefined ? {} : { mend: verdict.mend }),
    ...("httpStatus" in verdict && verdict.httpStatus !== undefined
      ? { httpStatus: verdict.httpStatus }
      : {}),
    ...where,
    observed,
  };
}

function podOf(snapshot: Snapshot, pod: PodAt): NonNullable<TraceVerdict["pod"]> {
  const { node, address } = snapshot.pods.get(`${pod.namespace}/${pod.name}`) ?? {};
  return { ...pod, ...(node === undefined ? {} : { node }), ...(address === undefined ? {} : { address }) };
}

function withStatus(verdict: TraceVerdict, status: number | undefined): TraceVerdict {
  return status === undefined ? verdict : { ...verdict, httpStatus: status };
}

/** Why an error status is the ingress's own and not the pod's: its record has an error, or no connection to a pod. */
function ingressFailure(status: number, { ingress, pod }: Observations): string | undefined {
  if (status < 400 || pod !== undefined || ingress === undefined) return undefined;
  if (ingress.error !== undefined) return `HTTP ${status} from the ingress: ${ingress.error}`;
  return ingress.upstream === undefined ? `HTTP ${status} from the ingress, which asked no pod` : undefined;
}

function expectation(reached: Verdict): string {
  if (reached.kind === "delivered") return `delivered to ${reached.pod.namespace}/${reached.pod.name}`;
  const status =
    "httpStatus" in reached && reached.httpStatus !== undefined ? ` with HTTP ${reached.httpStatus}` : "";
  return `${reached.kind}${status}: ${reached.reason}`;
}

function matches(
  reached: Verdict,
  status: number | undefined,
  failed: boolean,
  gatewayError: boolean,
): boolean {
  switch (reached.kind) {
    case "delivered":
      return !failed;
    case "unknown":
      return true;
    default:
      if (reached.kind === "rejected" && reached.httpStatus !== undefined)
        return status === reached.httpStatus;
      return failed || gatewayError;
  }
}

function timedOut(code: string | undefined, status: number | undefined): boolean {
  return status === 504 || (code !== undefined && /time/i.test(code));
}

/** 1: predicted and observed differ, or undelivered. 3: not decidable. 0: delivered, and nothing speaks against it. */
export function exitStatusOf({
  verdict,
  disagreements,
}: Pick<Trace, "verdict" | "disagreements">): 0 | 1 | 3 {
  if (disagreements.length > 0) return 1;
  if (verdict.outcome === "unknown") return 3;
  return verdict.outcome === "delivered" ? 0 : 1;
}
