import { at, listAt, numberOf, objectAt, textAt, textOf, type JsonObject } from "../json.ts";
import { ageSince } from "./age.ts";

interface Summary {
  readonly reason: string;
  readonly restarts: number;
  /** When a container ended last. */
  readonly lastRestart: string | undefined;
}

const isTrue = (pod: JsonObject, type: string): boolean =>
  listAt(pod, "status", "conditions").some(
    (item) => at(item, "type") === type && at(item, "status") === "True",
  );

function finishedAt(status: unknown): string | undefined {
  const text = textAt(status, "lastState", "terminated", "finishedAt");
  return text === "" ? undefined : text;
}

const later = (a: string | undefined, b: string | undefined): string | undefined =>
  a === undefined || (b !== undefined && Date.parse(b) > Date.parse(a)) ? b : a;

/** `ExitCode:7` or `Signal:9` where a terminated container gives no reason. */
function terminationText(terminated: JsonObject): string {
  const signal = numberOf(terminated["signal"]);
  return signal === 0 ? `ExitCode:${numberOf(terminated["exitCode"])}` : `Signal:${signal}`;
}

/** Sidecars are init containers that are restarted always. */
function sidecars(pod: JsonObject): Set<string> {
  const restartable = listAt(pod, "spec", "initContainers").filter(
    (item) => at(item, "restartPolicy") === "Always",
  );
  return new Set(restartable.map((item) => textAt(item, "name")));
}

/** What the first unfinished init container is doing; undefined when all are through. */
function initSummary(pod: JsonObject): Summary | undefined {
  const restartable = sidecars(pod);
  let restarts = 0;
  let lastRestart: string | undefined;
  for (const [index, status] of listAt(pod, "status", "initContainerStatuses").entries()) {
    restarts += numberOf(at(status, "restartCount"));
    lastRestart = later(lastRestart, finishedAt(status));
    const terminated = objectAt(status, "state", "terminated");
    const isTerminated = at(status, "state", "terminated") !== undefined;
    if (isTerminated && numberOf(terminated["exitCode"]) === 0) continue;
    if (restartable.has(textAt(status, "name")) && at(status, "started") === true) continue;
    const waiting = textAt(status, "state", "waiting", "reason");
    const total = listAt(pod, "spec", "initContainers").length;
    const reason = isTerminated
      ? `Init:${textOf(terminated["reason"]) || terminationText(terminated)}`
      : waiting !== "" && waiting !== "PodInitializing"
        ? `Init:${waiting}`
        : `Init:${index}/${total}`;
    return { reason, restarts, lastRestart };
  }
  return undefined;
}

function containerSummary(pod: JsonObject, start: string): Summary & { readonly ready: number } {
  let reason = start;
  let restarts = 0;
  let lastRestart: string | undefined;
  let ready = 0;
  let hasRunning = false;
  for (const status of listAt(pod, "status", "containerStatuses").toReversed()) {
    restarts += numberOf(at(status, "restartCount"));
    lastRestart = later(lastRestart, finishedAt(status));
    const waiting = textAt(status, "state", "waiting", "reason");
    const terminated = at(status, "state", "terminated");
    if (waiting !== "") reason = waiting;
    else if (terminated !== undefined) {
      reason = textAt(terminated, "reason") || terminationText(objectAt(status, "state", "terminated"));
    } else if (at(status, "ready") === true && at(status, "state", "running") !== undefined) {
      hasRunning = true;
      ready += 1;
    }
  }
  // One container has finished, others still run: the pod as a whole is up.
  if (reason === "Completed" && hasRunning) reason = isTrue(pod, "Ready") ? "Running" : "NotReady";
  return { reason, restarts, lastRestart, ready };
}

function startReason(pod: JsonObject): string {
  const gated = listAt(pod, "status", "conditions").some(
    (item) => at(item, "type") === "PodScheduled" && at(item, "reason") === "SchedulingGated",
  );
  if (gated) return "SchedulingGated";
  return textAt(pod, "status", "reason") || textAt(pod, "status", "phase");
}

function finalReason(pod: JsonObject, reason: string): string {
  if (textAt(pod, "metadata", "deletionTimestamp") === "") return reason;
  if (textAt(pod, "status", "reason") === "NodeLost") return "Unknown";
  const phase = textAt(pod, "status", "phase");
  return phase === "Failed" || phase === "Succeeded" ? reason : "Terminating";
}

/** The cells of a pod after its name: ready, status, restarts, age, address, node, nominated node, readiness gates. */
export function podCells(pod: JsonObject, now: Date): (string | number)[] {
  const restartable = sidecars(pod);
  const readySidecars = listAt(pod, "status", "initContainerStatuses").filter(
    (item) => restartable.has(textAt(item, "name")) && at(item, "ready") === true,
  ).length;
  const init = initSummary(pod);
  const initialized = init === undefined || isTrue(pod, "Initialized");
  const containers = containerSummary(pod, startReason(pod));
  const { reason, restarts, lastRestart } = initialized ? withSidecars(pod, containers) : init;
  const total = listAt(pod, "spec", "containers").length + restartable.size;
  const ready = readySidecars + (initialized ? containers.ready : 0);
  const again = lastRestart === undefined || restarts === 0 ? "" : ` (${ageSince(lastRestart, now)} ago)`;
  return [
    `${ready}/${total}`,
    finalReason(pod, reason),
    `${restarts}${again}`,
    ageSince(at(pod, "metadata", "creationTimestamp"), now),
    textAt(listAt(pod, "status", "podIPs")[0], "ip") || textAt(pod, "status", "podIP") || "<none>",
    textAt(pod, "spec", "nodeName") || "<none>",
    textAt(pod, "status", "nominatedNodeName") || "<none>",
    readinessGates(pod),
  ];
}

/** Restarts of sidecars count as restarts of the pod. */
function withSidecars(pod: JsonObject, summary: Summary): Summary {
  const restartable = sidecars(pod);
  let { restarts, lastRestart } = summary;
  for (const status of listAt(pod, "status", "initContainerStatuses")) {
    if (!restartable.has(textAt(status, "name"))) continue;
    restarts += numberOf(at(status, "restartCount"));
    lastRestart = later(lastRestart, finishedAt(status));
  }
  return { reason: summary.reason, restarts, lastRestart };
}

function readinessGates(pod: JsonObject): string {
  const gates = listAt(pod, "spec", "readinessGates");
  if (gates.length === 0) return "<none>";
  const open = gates.filter((gate) => isTrue(pod, textAt(gate, "conditionType"))).length;
  return `${open}/${gates.length}`;
}
