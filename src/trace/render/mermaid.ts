/** The trace as a Mermaid sequence diagram, for documents and issues. */
import type { Trace, TraceStep } from "../types.ts";

/** Text of a diagram that starts with `sequenceDiagram`. */
export function renderMermaid(trace: Trace): string {
  const actors = actorsOf(trace);
  const ids = new Map(actors.map((actor, i) => [actor, `p${i}`]));
  const id = (actor: string): string => ids.get(actor) ?? "p0";
  const forward = trace.steps.flatMap((step, i) => message(trace, step, i, id));
  const { verdict } = trace;
  const last = trace.steps.at(-1)?.component ?? "client";
  const end =
    verdict.outcome === "delivered"
      ? trace.wayBack.map(({ component, action }, i) => {
          const next = trace.wayBack[i + 1]?.component ?? "client";
          return component === next ? "" : `${id(component)}-->>${id(next)}: ${safe(action)}`;
        })
      : [`Note over ${id(last)}: ${safe(`${verdict.outcome}: ${verdict.reason}`)}`];
  return [
    "sequenceDiagram",
    "  autonumber",
    ...actors.map((actor) => `  participant ${id(actor)} as ${safe(actor)}`),
    ...[...forward, ...end].filter((text) => text !== "").map((text) => `  ${text}`),
  ].join("\n");
}

function actorsOf({ steps, wayBack }: Trace): readonly string[] {
  return [
    ...new Set([
      "client",
      ...steps.map(({ component }) => component),
      ...wayBack.map(({ component }) => component),
    ]),
  ];
}

/** From the component before to this one; what it does, as a note when it is the same. */
function message(
  { steps }: Trace,
  step: TraceStep,
  index: number,
  id: (actor: string) => string,
): readonly string[] {
  const before = steps[index - 1]?.component ?? "client";
  const text = safe(`${step.action} ${step.from} → ${step.to}`);
  const wrong = step.evidence.checks.filter(({ agrees }) => !agrees);
  return [
    before === step.component
      ? `Note over ${id(step.component)}: ${text}`
      : `${id(before)}->>${id(step.component)}: ${text}`,
    ...wrong.map(({ what, observed }) => `Note over ${id(step.component)}: ✗ ${safe(`${what} ${observed}`)}`),
  ];
}

/** Without the characters that mean something to Mermaid; a colon as its entity. */
function safe(text: string): string {
  return text
    .replaceAll(/[;#\r\n]/g, " ")
    .replaceAll(":", "&#58;")
    .replaceAll("&#58;", "#58;");
}
