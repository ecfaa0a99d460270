/** What a mapped command needs where pods have no network of their own: a port for each of the container's, and where to find it. */
import { readFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { imageOf, setPort } from "#kernel";
import type { LoopbackPlace } from "#kernel";
import { variableName } from "./environment.ts";
import type { ContainerPlace } from "./runner.ts";

export interface ListeningPlace {
  /** `HOST`, `PORT` (of the first port), `PORT_8080` and `PORT_HTTP`: where the command is to listen. */
  readonly variables: Readonly<Record<string, string>>;
  /** Gives the ports up. */
  close(): void;
}

/**
 * Finds a free port of the host for each port of the container, and leads connections to the pod's port there. A program that listens on
 * all addresses then disturbs no other pod's.
 */
export async function listenElsewhere(
  place: Pick<ContainerPlace, "address" | "ports" | "container">,
  { map }: LoopbackPlace,
): Promise<ListeningPlace> {
  const variables: Record<string, string> = { HOST: imageOf(map, place.address) ?? place.address };
  const told: number[] = [];
  for (const { port, protocol } of place.ports) {
    const at = await freePort(told);
    told.push(at);
    if (map.ports !== undefined) setPort(map.ports[protocol], place.address, port, at);
    const name = place.container.ports?.find(({ containerPort }) => containerPort === port)?.name;
    variables["PORT"] ??= String(at);
    variables[`PORT_${port}`] = String(at);
    if (name !== undefined) variables[`PORT_${variableName(name)}`] = String(at);
  }
  return {
    variables,
    close: () => {
      for (const { port, protocol } of place.ports)
        if (map.ports !== undefined) setPort(map.ports[protocol], place.address, port, port);
    },
  };
}

/** A port at which nobody listens, on any address, and that this container was not told of. */
async function freePort(taken: readonly number[]): Promise<number> {
  for (;;) {
    const server = createServer();
    const { promise: listening, resolve, reject } = Promise.withResolvers<void>();
    server.once("error", reject);
    server.listen(0, resolve);
    await listening;
    const { port } = server.address() as AddressInfo;
    await new Promise((closed) => server.close(closed));
    if (!taken.includes(port)) return port;
  }
}

/** `nobody`, the user of mapped commands where the cluster runs as root. */
const NOBODY = "65534";
/** CAP_SETGID, CAP_SETUID, CAP_SETPCAP. */
const needed = (1n << 6n) | (1n << 7n) | (1n << 8n);

/** Arguments of setpriv(1): no new privileges, none that root has, and an end with this process. */
export function confined(command: readonly string[], status = readStatus()): string[] {
  const root = process.getuid?.() === 0 && (capabilitiesIn(status) & needed) === needed;
  const user = root
    ? ["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--bounding-set", "-all", "--inh-caps", "-all"]
    : [];
  return [...user, "--no-new-privs", "--pdeathsig", "KILL", "--", ...command];
}

function capabilitiesIn(status: string): bigint {
  return BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? "0"}`);
}

function readStatus(): string {
  return readFileSync("/proc/self/status", "utf8");
}
