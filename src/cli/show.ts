/** `up --show URL`: requests from outside, the path of one that crossed to another node, and the spread over the pods. */
import type { Trace } from "#trace";
import { ask } from "./control.ts";
import { coloursWanted } from "./trace.ts";

const requests = 30;
/** A Service with pods on two nodes answers remotely at least once in this many traces. */
const traceTries = 12;

interface Answer {
  readonly status: number;
  readonly pod?: string;
  readonly node?: string;
}

/** Shows the cluster at work. True when every request was answered, the spread was even and a trace crossed nodes. */
export async function show(name: string, url: string): Promise<boolean> {
  const { exitStatusOf, render } = await import("#trace");
  const trace = await tracedAcrossNodes(name, url);
  console.log(`\n${render(trace.document, "text", { colour: coloursWanted() })}`);
  const answers: Answer[] = [];
  for (let sent = 0; sent < requests; sent += 1)
    answers.push(await ask<Answer>(name, "/request", { url, from: "internet" }));
  const spread = countBy(answers, ({ pod, node }) => `${pod ?? "?"} on ${node ?? "?"}`);
  console.log(`\n${requests} requests to ${url} from outside, a new connection each:`);
  for (const [pod, count] of spread) console.log(`  ${String(count).padStart(3)}  ${pod}`);
  const counts = [...spread.values()];
  const problems = [
    answers.every(({ status }) => status === 200) ? [] : ["not every request was answered with 200"],
    Math.max(...counts) - Math.min(...counts) <= trace.nodes ? [] : ["the spread is uneven"],
    exitStatusOf(trace.document) === 0 ? [] : ["the trace did not agree"],
    trace.crossed || trace.nodes < 2 ? [] : [`no answer came from another node in ${traceTries} traces`],
  ].flat();
  for (const problem of problems) console.error(`inroad: ${problem}`);
  return problems.length === 0;
}

async function tracedAcrossNodes(
  name: string,
  url: string,
): Promise<{ document: Trace; crossed: boolean; nodes: number }> {
  const { exitStatusOf } = await import("#trace");
  const { nodes } = await ask<{ nodes: readonly unknown[] }>(name, "/status");
  for (let tries = 1; ; tries += 1) {
    const document = await ask<Trace>(name, "/trace", {
      url,
      from: "internet",
      method: "GET",
      headers: {},
      dryRun: false,
    });
    const crossed = document.steps.some(
      ({ stage, component }) => stage === 6 && crossesFrom(component, document.verdict.pod?.node),
    );
    if (crossed || tries === traceTries || exitStatusOf(document) !== 0)
      return { document, crossed, nodes: nodes.length };
  }
}

/** Whether a step of `node NAME` on the way to a pod is another node's than the pod's. */
function crossesFrom(component: string, podNode: string | undefined): boolean {
  const [, node] = /^node (\S+)$/.exec(component) ?? [];
  return node !== undefined && podNode !== undefined && node !== podNode;
}

function countBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(keyOf(item), (counts.get(keyOf(item)) ?? 0) + 1);
  return new Map([...counts].toSorted(([a], [b]) => a.localeCompare(b)));
}
