/** The orders of `inroad fault`: what comes from the command line, checked, and how faults are told. */
import { InroadError } from "#lib/errors";
import { describeFault, type Fault, type FaultKind } from "#model";
import type { Handler } from "./control.ts";
import type { Faults } from "./faults.ts";

/** `/fault` makes one, `/faults` lists them, `/heal` heals those named or all. */
export function faultOrders(faults: Faults): Readonly<Record<string, Handler>> {
  return {
    "/fault": async (_, body) => told([await faults.make(kindOfBody(body))]),
    "/faults": () => told(faults.list()),
    "/heal": async (_, body) => told(await faults.heal(idsOfBody(body))),
  };
}

function told(faults: readonly Fault[]): object {
  return { faults: faults.map((fault) => ({ ...fault, text: describeFault(fault) })) };
}

type Fields = Readonly<Record<string, unknown>>;

function kindOfBody(body: unknown): FaultKind {
  const given: Fields = typeof body === "object" && body !== null ? { ...body } : {};
  const { kind } = given;
  switch (kind) {
    case "node-down":
      return { kind, node: text(given, "node") };
    case "partition":
      return { kind, node: text(given, "node"), other: text(given, "other") };
    case "latency":
      return { kind, node: text(given, "node"), milliseconds: number(given, "milliseconds", 60_000) };
    case "loss":
      return { kind, node: text(given, "node"), percent: number(given, "percent", 100) };
    case "unready":
      return { kind, namespace: text(given, "namespace"), pod: text(given, "pod") };
    default:
      throw bad("kind");
  }
}

function idsOfBody(body: unknown): readonly number[] | undefined {
  const ids: unknown = typeof body === "object" && body !== null ? Reflect.get(body, "ids") : undefined;
  if (ids === undefined) return undefined;
  if (!Array.isArray(ids)) throw bad("ids");
  return ids.map(Number);
}

function text(given: Fields, field: string): string {
  const value = given[field];
  if (typeof value !== "string") throw bad(field);
  return value;
}

function number(given: Fields, field: string, most: number): number {
  const value = given[field];
  if (typeof value !== "number" || !(value > 0 && value <= most)) throw bad(field);
  return value;
}

function bad(field: string): InroadError {
  return new InroadError("BadRequest", `the order's field ${field} is missing or wrong`, { exitStatus: 2 });
}
