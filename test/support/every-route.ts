/** What may become of a flow: the prediction of a trace, with every choice that a hop has. Pure. */
import { drive, type Here, type ProxyFacts, type Route } from "#path";
import type { Snapshot } from "#model";

/** Every way that a flow may take, each once. */
export function everyRoute(snapshot: Snapshot, start: Here, facts: ProxyFacts = {}): readonly Route[] {
  const routes: Route[] = [];
  const walk = (choices: readonly number[]): void => {
    const counts: number[] = [];
    const pick = (alternatives: readonly unknown[]): number => {
      counts.push(alternatives.length);
      return choices[counts.length - 1] ?? 0;
    };
    routes.push(drive(snapshot, start, pick, facts));
    // Whoever was first in a choice of this walk's own: the others follow.
    for (let place = choices.length; place < counts.length; place++) {
      const before = Array.from({ length: place }, (_, i) => choices[i] ?? 0);
      for (let other = 1; other < (counts[place] ?? 0); other++) walk([...before, other]);
    }
  };
  walk([]);
  return routes;
}

/** What the sender hears: a refusal, nothing, or a pod (`x/a`) that answers on a port and saw a source. */
export type Fate =
  | "refused"
  | "silence"
  | { readonly pod: string; readonly port: number; readonly source: string };

/** The ends that a trace predicts; undefined where one of them is not known, so that nothing is promised. */
export function predictedFates(routes: readonly Route[]): readonly Fate[] | undefined {
  const fates = routes.map(fatesOf);
  return fates.every((some) => some.length > 0) ? fates.flat() : undefined;
}

function fatesOf({ visits, verdict }: Route): readonly Fate[] {
  const last = visits.at(-1);
  if (verdict.kind === "unknown" || last === undefined) return [];
  if (verdict.kind === "dropped") return ["silence"];
  if (verdict.kind !== "delivered") {
    // That a host is unreachable is told by ICMP: TCP over IPv6 hears of it late, UDP not at all (udp(7): IP_RECVERR).
    return last.steps.at(-1)?.action === "route" ? ["refused", "silence"] : ["refused"];
  }
  const { source, destination } = last.flow;
  const { namespace, name } = verdict.pod;
  return [{ pod: `${namespace}/${name}`, port: destination.port, source: source.address }];
}

export function fateText(fate: Fate): string {
  return typeof fate === "string" ? fate : `${fate.pod} port ${fate.port}, from ${fate.source}`;
}
