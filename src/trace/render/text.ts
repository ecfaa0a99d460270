/** The trace for people: the eight steps in order, a block for each hop, and at the end what came of it. */
import { stageTitles } from "../stages.ts";
import type { Check, Trace, TraceStep } from "../types.ts";
import {
  anyOf,
  arrows,
  checkLines,
  type Context,
  decisionLines,
  evaluatedLines,
  hopLine,
  labelled,
  milliseconds,
  missingLines,
  rewriteLines,
  wideLines,
} from "./lines.ts";
import { createPaint } from "./paint.ts";

export interface TextOptions {
  readonly colour?: boolean;
  /** Also rules, records, and everything that was considered. */
  readonly wide?: boolean;
}

export function renderText(trace: Trace, options: TextOptions = {}): string {
  const parts: readonly { readonly component: string; readonly action: string }[] = [
    ...trace.steps,
    ...trace.wayBack,
  ];
  const context: Context = {
    paint: createPaint(options.colour ?? false),
    wide: options.wide ?? false,
    columns: {
      component: Math.max(0, ...parts.map(({ component }) => component.length)),
      action: Math.max(0, ...parts.map(({ action }) => action.length)),
    },
  };
  return [
    ...heading(trace, context),
    ...stages(trace, context),
    ...wayBack(trace, context),
    "",
    ...closing(trace, context),
  ].join("\n");
}

function heading({ request, timing }: Trace, { paint }: Context): readonly string[] {
  const facts = [
    `from ${request.from}`,
    ...(timing === undefined ? [] : [milliseconds(timing)]),
    ...(request.id === undefined ? [] : [`request ${request.id}`]),
  ];
  return [paint.bold(`${request.method} ${request.url}`), paint.dim(facts.join(" · "))];
}

function stages({ steps }: Trace, context: Context): readonly string[] {
  return [1, 2, 3, 4, 5, 6, 7].flatMap((stage) => {
    // Whose turn it is belongs to step 6, although the same rule decides it that step 5 tells of.
    const turns =
      stage === 6 ? steps.filter((step) => step.stage === 5).map((step) => turn(step, context)) : [];
    const blocks = steps.filter((step) => step.stage === stage).map((step) => block(step, context));
    const lines = [...turns, ...blocks].flat();
    return lines.length === 0 ? [] : [...title(stage, context), ...lines];
  });
}

function title(stage: number, { paint }: Context): readonly string[] {
  return ["", paint.bold(`${stage}  ${stageTitles[stage - 1] ?? ""}`)];
}

function block(step: TraceStep, context: Context): readonly string[] {
  const time = step.timing === undefined ? "" : milliseconds(step.timing);
  const { checks } = step.evidence;
  const turnsLater = step.stage === 5 && step.decision !== undefined;
  return [
    hopLine(step, `${step.from} → ${step.to}`, context, time),
    ...(turnsLater ? [] : decisionLines(step, context)),
    ...evaluatedLines(step, context),
    ...rewriteLines(step.rewrites),
    ...(context.wide ? wideLines(step, context) : []),
    ...checkLines(turnsLater ? checks.filter((check) => !isTurn(check)) : checks, context),
    ...(turnsLater ? [] : missingLines(step, context)),
  ];
}

/** The part of a proxy's step that is about the choice. */
function turn(step: TraceStep, context: Context): readonly string[] {
  if (step.decision === undefined) return [];
  const { algorithm, candidates } = step.decision;
  const eligible = candidates.filter((candidate) => candidate.eligible).length;
  const text = `${algorithm}: ${eligible} of ${candidates.length} endpoints can be chosen`;
  return [
    hopLine({ component: step.component, action: "balance" }, text, context),
    ...decisionLines(step, context),
    ...checkLines(step.evidence.checks.filter(isTurn), context),
    ...missingLines(step, context),
  ];
}

/** Which endpoint the rules chose. */
function isTurn({ what }: Check): boolean {
  return what === "DNAT to";
}

function wayBack({ wayBack: replies, verdict }: Trace, context: Context): readonly string[] {
  if (verdict.pod === undefined || replies.length === 0) return [];
  return [
    ...title(8, context),
    ...replies.flatMap((reply) => [
      hopLine(reply, `${reply.from} → ${reply.to}`, context),
      ...rewriteLines(reply.rewrites),
      ...(reply.observed === undefined
        ? []
        : [labelled("observed", `${context.paint.good("✓")} ${arrows(reply.observed)}`)]),
    ]),
  ];
}

function closing(trace: Trace, context: Context): readonly string[] {
  const { paint } = context;
  const { verdict, disagreements, findings } = trace;
  return [
    verdictLine(trace, context),
    ...(verdict.mend === undefined ? [] : [`  ${arrows(`mend: ${verdict.mend}`)}`]),
    paint.dim(`  ${comparison(trace)}`),
    ...disagreements.map(({ where, component, what, predicted, observed, source }) =>
      paint.bad(
        `✗ PREDICTED AND OBSERVED DIFFER at ${where}, ${component}: ${what}: predicted ${anyOf(predicted)}, observed ${observed} (${source})`,
      ),
    ),
    ...findings.map(({ severity, object: { kind, namespace, name }, message }) =>
      paint.warn(
        `! ${severity}: ${kind} ${namespace === undefined ? name : `${namespace}/${name}`}: ${message}`,
      ),
    ),
  ];
}

function verdictLine({ verdict, disagreements }: Trace, { paint }: Context): string {
  const { outcome, pod, httpStatus, reason } = verdict;
  const status = httpStatus === undefined ? "" : `HTTP ${httpStatus} `;
  const name = pod === undefined ? "" : `pod ${pod.namespace}/${pod.name}`;
  const where = pod?.node === undefined ? name : `${name} on ${pod.node}`;
  if (outcome === "unknown") {
    return paint.warn(`? unknown: ${reason}${where === "" ? "" : ` (would be ${where})`}`);
  }
  if (outcome !== "delivered") return paint.bad(`✗ ${outcome}: ${status}${reason}`);
  const answered = verdict.observed ? `${status}from ${where}` : `to ${where}`;
  return disagreements.length === 0
    ? paint.good(`✓ delivered: ${answered}`)
    : paint.bad(`✗ delivered, but not as predicted: ${status}${reason}`);
}

function comparison({ verdict, disagreements, steps }: Trace): string {
  if (!verdict.observed) return "predicted only; no request was sent";
  const missing = steps.reduce((sum, { evidence }) => sum + evidence.missing.length, 0);
  const checks = steps.flatMap(({ evidence }) => evidence.checks);
  const agreeing = checks.filter(({ agrees }) => agrees).length;
  const differing = disagreements.length === 0 ? "" : `, ${disagreements.length} do not`;
  const unseen = missing === 0 ? "" : `; ${missing} could not be looked at`;
  return `${agreeing} observations agree with the prediction${differing}${unseen}`;
}
