/** Devices, addresses, routes (by iproute2) and sysctls of a namespace. */
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { getSystemErrorMessage } from "node:util";
import { InroadError, codeOf, messageOf } from "#lib/errors";
import { encodeLine } from "./ip-lines.ts";
import type { Lookups } from "./ip-lines.ts";
import { deviceIndex, withNetlink } from "./libc.ts";
import { errnoOf } from "./netlink-bytes.ts";
import { inNetNs } from "./netns.ts";
import { run } from "./run.ts";
import type { NetNs } from "./types.ts";

/**
 * Carries out lines of `ip` commands (without the word `ip`; long names: `address`, `neighbour`), in order, up to
 * the first failure. Common lines go to the kernel directly, others to the program, in as few runs as possible.
 * @throws InroadError `IpFailed` that names the failing line.
 */
export function ipBatch(ns: NetNs | undefined, lines: readonly string[]): Promise<void> {
  return batch("ip", ns, lines);
}

/** As `ipBatch`, for lines of `bridge` commands (forwarding entries). */
export function bridgeBatch(ns: NetNs | undefined, lines: readonly string[]): Promise<void> {
  return batch("bridge", ns, lines);
}

type Program = "ip" | "bridge";

async function batch(program: Program, ns: NetNs | undefined, lines: readonly string[]): Promise<void> {
  let rest = lines;
  while (rest.length > 0) {
    const direct = countWhile(rest, (line) => encodeLine(program, line) !== undefined);
    if (direct > 0) applyDirectly(program, ns, rest.slice(0, direct));
    rest = rest.slice(direct);
    const others = countWhile(rest, (line) => encodeLine(program, line) === undefined);
    if (others > 0) await runBatch(program, ns, rest.slice(0, others));
    rest = rest.slice(others);
  }
}

function countWhile(lines: readonly string[], holds: (line: string) => boolean): number {
  const end = lines.findIndex((line) => !holds(line));
  return end === -1 ? lines.length : end;
}

/** By the program: the reference for what a line means. */
export async function runBatch(
  program: Program,
  ns: NetNs | undefined,
  lines: readonly string[],
): Promise<void> {
  const result = await run(ns, program, ["-batch", "-"], `${lines.join("\n")}\n`);
  if (result.code === 0) return;
  const number = Number(/Command failed -:(\d+)/.exec(result.stderr)?.[1] ?? 0);
  const said = result.stderr
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("Command failed"))
    .join("; ");
  throw failed(program, ns, lines[number - 1] ?? "-batch", said);
}

/** By netlink, on this thread: a few dozen microseconds per line instead of some milliseconds per program. */
function applyDirectly(program: Program, ns: NetNs | undefined, lines: readonly string[]): void {
  inNetNs(ns, () =>
    withNetlink((ask) => {
      for (const line of lines) applyLine(program, ns, line, ask);
    }),
  );
}

function applyLine(
  program: Program,
  ns: NetNs | undefined,
  line: string,
  ask: (request: Buffer) => Buffer,
): void {
  const opened: number[] = [];
  const lookups: Lookups = {
    index(device) {
      const index = deviceIndex(device);
      if (index === 0) throw failed(program, ns, line, `Cannot find device "${device}"`);
      return index;
    },
    namespace(path) {
      const fd = openSync(path, "r");
      opened.push(fd);
      return fd;
    },
  };
  try {
    const request = encodeLine(program, line)?.(lookups);
    const errno = request === undefined ? undefined : errnoOf(ask(request));
    if (errno === 0) return;
    const said = errno === undefined ? "no answer" : getSystemErrorMessage(-errno);
    throw failed(program, ns, line, `RTNETLINK answers: ${said}`);
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}

function failed(program: Program, ns: NetNs | undefined, line: string, said: string): InroadError {
  return new InroadError("IpFailed", `${program} ${line}: ${said}`, { where: ns?.name ?? "home" });
}

/** Whether a namespace has a device of this name. */
export function hasLink(ns: NetNs | undefined, name: string): boolean {
  return inNetNs(ns, () => deviceIndex(name) !== 0);
}

/**
 * Writes sysctls of a namespace: keys as below /proc/sys (`net/ipv4/ip_forward`), in the given order.
 * @throws InroadError with the errno's name (`ENOENT`: this kernel does not know it).
 */
export function setSysctls(ns: NetNs | undefined, values: Readonly<Record<string, string>>): void {
  inNetNs(ns, () => {
    for (const [key, value] of Object.entries(values)) {
      try {
        // Synchronous on purpose: the thread pool lives in other namespaces.
        writeFileSync(`/proc/sys/${key}`, value);
      } catch (error) {
        throw new InroadError(
          codeOf(error) ?? "SysctlFailed",
          `cannot set ${key}=${value}: ${messageOf(error)}`,
          {
            where: ns?.name ?? "home",
          },
        );
      }
    }
  });
}

/** Reads one sysctl, trimmed; undefined where the kernel does not know it. */
export function getSysctl(ns: NetNs | undefined, key: string): string | undefined {
  return inNetNs(ns, () => {
    try {
      return readFileSync(`/proc/sys/${key}`, "utf8").trim();
    } catch {
      return undefined;
    }
  });
}

export interface RouteTo {
  readonly device: string;
  readonly via?: string;
  readonly source?: string;
}

/**
 * Which way the namespace would send a packet to an IPv4 or IPv6 literal now (`ip route get`).
 * @throws InroadError `Unreachable` when it has no route.
 */
export async function routeGet(ns: NetNs | undefined, address: string): Promise<RouteTo> {
  const result = await run(ns, "ip", ["-j", "route", "get", address]);
  const route = result.code === 0 ? parseRoute(result.stdout) : undefined;
  if (route !== undefined) return route;
  const said = result.stderr.trim() || "no route";
  throw new InroadError("Unreachable", `no route to ${address}: ${said}`, { where: ns?.name ?? "home" });
}

/** The first route of `ip -j route get`; undefined if the text is not one. */
export function parseRoute(text: string): RouteTo | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const first: unknown = Array.isArray(value) ? value[0] : undefined;
  if (typeof first !== "object" || first === null) return undefined;
  const device = textField(first, "dev");
  if (device === undefined) return undefined;
  const via = textField(first, "gateway");
  const source = textField(first, "prefsrc");
  return { device, ...(via === undefined ? {} : { via }), ...(source === undefined ? {} : { source }) };
}

function textField(object: object, field: string): string | undefined {
  const value: unknown = Reflect.get(object, field);
  return typeof value === "string" ? value : undefined;
}
