/** The lines of a text trace: one hop's heading, and what is said below it. */
import { withPort } from "#lib/ip";
import type { Check, TraceStep } from "../types.ts";
import type { Paint } from "./paint.ts";

export interface Context {
  readonly paint: Paint;
  readonly wide: boolean;
  /** Width of the columns for who and what. */
  readonly columns: { readonly component: number; readonly action: number };
}

/** Candidates that lost, beyond these, are only counted unless everything is wanted. */
const shownLosers = 3;

/** `   proxy node-a (nftables)   DNAT   10.244.0.3 → default/api-3`; `tail` is dimmed. */
export function hopLine(
  { component, action }: { readonly component: string; readonly action: string },
  text: string,
  { paint, columns }: Context,
  tail = "",
): string {
  const who = paint.bold(component.padEnd(columns.component));
  return `   ${who}  ${action.padEnd(columns.action)}  ${text}${tail === "" ? "" : paint.dim(`   ${tail}`)}`.trimEnd();
}

/** `      because   three are ready` */
export function labelled(label: string, text: string): string {
  return `      ${label.padEnd(9)} ${text}`;
}

export function decisionLines({ decision }: TraceStep, { paint }: Context): readonly string[] {
  if (decision === undefined) return [];
  const { candidates, chosen, next, reason } = decision;
  const rows = candidates.map(({ name, address, port, eligible, reason: why }) => ({
    mark: name === chosen ? paint.good("●") : eligible ? "○" : paint.dim("×"),
    name,
    end: address === undefined ? "" : port === undefined ? address : withPort(address, port),
    why: why ?? "",
  }));
  const names = Math.max(0, ...rows.map(({ name }) => name.length));
  const ends = Math.max(0, ...rows.map(({ end }) => end.length));
  const list = rows.map(({ mark, name, end, why }) =>
    labelled("", `${mark} ${name.padEnd(names)}  ${end.padEnd(ends)}  ${paint.dim(why)}`).trimEnd(),
  );
  const turn = next === chosen ? "" : "; another connection came between";
  return [
    ...(candidates.length < 2 ? [] : list),
    labelled("because", reason),
    ...(next === undefined ? [] : [labelled("turn", `predicted next: ${next}${turn}`)]),
  ];
}

export function evaluatedLines({ evaluated }: TraceStep, { paint, wide }: Context): readonly string[] {
  const winners = evaluated.filter(({ matched }) => matched);
  const losers = evaluated.filter(({ matched }) => !matched);
  const shown = wide ? evaluated : [...winners, ...losers.slice(0, shownLosers)];
  const rest = evaluated.length - shown.length;
  return [
    ...shown.map(({ what, matched, why }) =>
      matched ? labelled("matched", `${what}: ${why}`) : labelled("not", paint.dim(`${what}: ${why}`)),
    ),
    ...(rest > 0 ? [labelled("not", paint.dim(`${rest} more; -o wide shows them`))] : []),
  ];
}

/** Translations one by one; header changes, which are many, in one line. */
export function rewriteLines(rewrites: readonly string[]): readonly string[] {
  const headers = rewrites.filter((rewrite) => !rewrite.includes(" -> "));
  return [
    ...rewrites
      .filter((rewrite) => rewrite.includes(" -> "))
      .map((text) => labelled("changes", arrows(text))),
    ...(headers.length === 0 ? [] : [labelled("headers", headers.join(" · "))]),
  ];
}

/** What agrees stands in one line for each source of evidence; every disagreement has a line of its own. */
export function checkLines(checks: readonly Check[], { paint }: Context): readonly string[] {
  const sources = [...new Set(checks.map(({ source }) => source))];
  return sources.flatMap((source) => {
    const here = checks.filter((check) => check.source === source);
    const good = here.filter(({ agrees }) => agrees).map(agreement);
    return [
      ...(good.length === 0
        ? []
        : [labelled("observed", `${paint.good("✓")} ${good.join(" · ")}${paint.dim(`   (${source})`)}`)]),
      ...here
        .filter(({ agrees }) => !agrees)
        .map(({ what, predicted, observed }) =>
          labelled(
            "observed",
            `${paint.bad(`✗ ${what}: ${observed}; predicted ${anyOf(predicted)}`)}${paint.dim(`   (${source})`)}`,
          ),
        ),
    ];
  });
}

function agreement({ what, predicted, observed }: Check): string {
  const among = predicted.length > 1 ? `, one of ${predicted.length} predicted` : "";
  return `${what} ${observed}${among}`;
}

export function missingLines({ evidence }: TraceStep, { paint }: Context): readonly string[] {
  return evidence.missing.map((why) => labelled("observed", `${paint.warn("?")} ${paint.dim(why)}`));
}

/** Rules, raw evidence and objects. */
export function wideLines({ evidence }: TraceStep, { paint }: Context): readonly string[] {
  const objects = evidence.objects.map(({ kind, namespace, name, where }) => {
    const full = namespace === undefined ? name : `${namespace}/${name}`;
    return `${kind} ${full}${where === undefined ? "" : `   ${where}`}`;
  });
  return [
    ...evidence.predicted.map((rule) => labelled("rule", paint.dim(rule))),
    ...evidence.records.map((record) => labelled("record", paint.dim(record))),
    ...objects.map((object) => labelled("object", paint.dim(object))),
  ];
}

export function arrows(text: string): string {
  return text.replaceAll(" -> ", " → ");
}

export function anyOf(values: readonly string[]): string {
  return values.length === 1 ? (values[0] ?? "") : `one of ${values.join(", ")}`;
}

/** `7.3 ms`: two decimals below ten, none above. */
export function milliseconds(value: number): string {
  return `${value < 10 ? Math.round(value * 100) / 100 : Math.round(value)} ms`;
}
