/** A container that runs a local command, as its user asked for in inroad.yaml: a process in the pod's namespace. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { constants, cpus, totalmem } from "node:os";
import { join } from "node:path";
import { messageOf } from "#lib/errors";
import { findProgram, isLoopback, reachEnd, spawnIn } from "#kernel";
import type { NetPlace } from "#kernel";
import { confined, listenElsewhere } from "./command-loopback.ts";
import { buildEnvironment, expand } from "./environment.ts";
import type { EnvironmentSources } from "./environment.ts";
import type { CommandMapping } from "./mapping.ts";
import { podId, specOf } from "./pod-object.ts";
import type { PodId } from "./pod-object.ts";
import type { ContainerEnd, ContainerPlace, Runner, RunningContainer } from "./runner.ts";

/** `nobody`, the user of mapped commands where the cluster runs as real root. */
const NOBODY = 65534;

/** How long the output of a process may come after its end, milliseconds. */
const LAST_WORDS_MS = 500;

/** What a mapped command needs of the cluster. */
export interface CommandSettings {
  /** A folder of the cluster, for the resolver settings of its pods. */
  readonly stateDir: string;
  /** Address of the cluster DNS, and the cluster's domain. */
  readonly dns: { readonly address: string; readonly domain: string };
  /** Service variables for a pod of this namespace. */
  readonly serviceVariables: (namespace: string) => Readonly<Record<string, string>>;
  /** Further variables, which win over all others. */
  readonly variables?: (pod: PodId, place: NetPlace) => Promise<Readonly<Record<string, string>>>;
  /** Text values of a ConfigMap or a Secret. */
  readonly values: (
    kind: "ConfigMap" | "Secret",
    namespace: string,
    name: string,
  ) => Promise<Readonly<Record<string, string>> | undefined>;
}

/** Thrown by a start that cannot succeed as things are: `CreateContainerConfigError`. */
export class ContainerConfigError extends Error {}

export function commandRunner(mapping: CommandMapping, settings: CommandSettings): Runner {
  return { kind: "command", start: (place) => startCommand(mapping, settings, place) };
}

async function startCommand(
  mapping: CommandMapping,
  settings: CommandSettings,
  place: ContainerPlace,
): Promise<RunningContainer> {
  const elsewhere = isLoopback(place.ns) ? await listenElsewhere(place, place.ns) : undefined;
  const own = { ...elsewhere?.variables, ...(await settings.variables?.(podId(place.pod), place.ns)) };
  const { variables, problems } = buildEnvironment(place.container, await sourcesFor(settings, place, own));
  if (problems.length > 0) throw new ContainerConfigError(problems.join("; "));
  // A PORT that somebody wrote down tells where the pod listens; this command must listen where it is told.
  const all = { ...variables, ...mapping.env, ...own };
  const args = (mapping.args ?? []).map((text) => expand(text, all));
  const program = findProgram(mapping.command, { cwd: mapping.cwd });
  const { early, late } = splitEnvironment({ HOME: "/", HOSTNAME: podId(place.pod).name, ...all });
  const command = [...late, program, ...args];
  const resolver = elsewhere === undefined ? writeResolver(settings, place) : undefined;
  const [starter, starterArgs] =
    elsewhere === undefined ? ["unshare", sandboxed(resolver, command)] : ["setpriv", confined(command)];
  const child = spawnIn(place.ns, starter, starterArgs, {
    cwd: mapping.cwd ?? "/",
    // A session of its own: signals go to the whole group, and none of ours reaches it.
    detached: true,
    env: { PATH: process.env["PATH"], LANG: "C.UTF-8", ...early },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const { promise: ended, resolve: end } = Promise.withResolvers<ContainerEnd>();
  child.stdout?.setEncoding("utf8").on("data", (text: string) => place.output.write(text));
  child.stderr?.setEncoding("utf8").on("data", (text: string) => place.output.write(text));
  child.on("error", (error) => end({ exitCode: 128, reason: "StartError", message: messageOf(error) }));
  child.on("exit", (code, signal) => {
    const exitCode = code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
    signalGroup(child.pid, "SIGKILL");
    if (resolver !== undefined) rmSync(resolver, { recursive: true, force: true });
    elsewhere?.close();
    const finish = (): void => {
      clearTimeout(timer);
      end({ exitCode, reason: exitCode === 0 ? "Completed" : "Error" });
    };
    // Its last words may still be in the pipe; somebody who left its group may hold that open for ever.
    const timer = setTimeout(finish, LAST_WORDS_MS);
    child.once("close", finish);
  });
  return { ended, ready: () => undefined, signal: (name) => signalGroup(child.pid, name) };
}

/** What the loader, the shell and the tools that prepare the sandbox obey; they still have privileges. */
const obeyedEarly =
  /^(?:LD_|GLIBC_|MALLOC_|LIBMOUNT_|BASH|(?:PATH|LANG|LANGUAGE|LOCPATH|NLSPATH|GCONV_PATH|POSIXLY_CORRECT|ENV|IFS|PS4|SHELLOPTS)$|LC_)/;

/**
 * Variables that may be set from the start, and a command that sets the others once privileges are dropped: a manifest
 * must not choose which `unshare` is run, nor what is loaded into it.
 */
export function splitEnvironment(variables: Readonly<Record<string, string>>): {
  readonly early: Readonly<Record<string, string>>;
  readonly late: readonly string[];
} {
  const all = Object.entries(variables);
  const late = all.filter(([name]) => obeyedEarly.test(name)).map(([name, value]) => `${name}=${value}`);
  return {
    early: Object.fromEntries(all.filter(([name]) => !obeyedEarly.test(name))),
    late: late.length === 0 ? [] : [findProgram("env"), ...late],
  };
}

/** To the process and all it started, unless they left its group. */
function signalGroup(pid: number | undefined, name: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, name);
  } catch {
    // Nobody is left.
  }
}

async function sourcesFor(
  settings: CommandSettings,
  place: ContainerPlace,
  own: Readonly<Record<string, string>>,
): Promise<EnvironmentSources> {
  const { namespace } = podId(place.pod);
  const { env = [], envFrom = [] } = place.container;
  const wanted = new Set<`${"ConfigMap" | "Secret"}/${string}`>();
  for (const { configMapRef, secretRef } of envFrom) {
    if (configMapRef?.name !== undefined) wanted.add(`ConfigMap/${configMapRef.name}`);
    if (secretRef?.name !== undefined) wanted.add(`Secret/${secretRef.name}`);
  }
  for (const { valueFrom } of env) {
    if (valueFrom?.configMapKeyRef?.name !== undefined)
      wanted.add(`ConfigMap/${valueFrom.configMapKeyRef.name}`);
    if (valueFrom?.secretKeyRef?.name !== undefined) wanted.add(`Secret/${valueFrom.secretKeyRef.name}`);
  }
  const found = new Map<string, Readonly<Record<string, string>> | undefined>();
  for (const key of wanted) {
    const kind = key.startsWith("Secret/") ? "Secret" : "ConfigMap";
    found.set(key, await settings.values(kind, namespace, key.slice(kind.length + 1)));
  }
  return {
    pod: place.pod,
    // A program that listens on its pod's address must be able to.
    podIPs: place.addresses.map((address) => reachEnd(place.ns, address, 0).address),
    node: place.node,
    services: {
      ...(specOf(place.pod).enableServiceLinks === false ? {} : settings.serviceVariables(namespace)),
      ...own,
    },
    lookup: (kind, name) => found.get(`${kind}/${name}`),
    capacity: { cpu: cpus().length * 1000, memory: totalmem() },
  };
}

/**
 * Resolver settings by dnsPolicy (https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/); undefined
 * where the pod uses the host's.
 */
export function resolverText(
  place: Pick<ContainerPlace, "pod">,
  dns: CommandSettings["dns"],
): string | undefined {
  const { dnsPolicy = "ClusterFirst", dnsConfig = {}, hostNetwork = false } = specOf(place.pod);
  const cluster = dnsPolicy === "ClusterFirstWithHostNet" || (dnsPolicy === "ClusterFirst" && !hostNetwork);
  if (!cluster && dnsPolicy !== "None") return undefined;
  const { namespace } = podId(place.pod);
  const search = cluster ? [`${namespace}.svc.${dns.domain}`, `svc.${dns.domain}`, dns.domain] : [];
  const servers = [...(cluster ? [dns.address] : []), ...(dnsConfig.nameservers ?? [])];
  const searches = [...new Set([...search, ...(dnsConfig.searches ?? [])])];
  const options = new Map<string, string | undefined>(cluster ? [["ndots", "5"]] : []);
  for (const { name, value } of dnsConfig.options ?? []) if (name !== undefined) options.set(name, value);
  const optionTexts = [...options].map(([name, value]) => (value === undefined ? name : `${name}:${value}`));
  return [
    ...(searches.length === 0 ? [] : [`search ${searches.join(" ")}`]),
    ...servers.map((server) => `nameserver ${server}`),
    ...(optionTexts.length === 0 ? [] : [`options ${optionTexts.join(" ")}`]),
    "",
  ].join("\n");
}

/** Writes resolv.conf and nsswitch.conf for one life of a container; returns their folder. */
function writeResolver(settings: CommandSettings, place: ContainerPlace): string | undefined {
  const text = resolverText(place, settings.dns);
  if (text === undefined) return undefined;
  const folder = join(settings.stateDir, "pods", `${podId(place.pod).uid}-${place.container.name}`);
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  writeFileSync(join(folder, "resolv.conf"), text);
  writeFileSync(join(folder, "nsswitch.conf"), "passwd: files\ngroup: files\nhosts: files dns\n");
  return folder;
}

/** In the new mount namespace: lays the pod's files over the host's (where the host has them), then goes on. */
const prelude = `folder=$1; shift
for file in resolv.conf nsswitch.conf; do
  if [ -n "$folder" ] && [ -e "/etc/$file" ]; then mount --bind "$folder/$file" "/etc/$file" || exit 125; fi
done
exec "$@"`;

/** Arguments of unshare(1): a private mount namespace, then privileges dropped for good. */
function sandboxed(resolver: string | undefined, command: readonly string[]): string[] {
  const drop = ["--no-new-privs", "--bounding-set", "-all", "--inh-caps", "-all"];
  const user = isMapped(NOBODY) ? ["--reuid", `${NOBODY}`, "--regid", `${NOBODY}`, "--clear-groups"] : [];
  const setpriv = [findProgram("setpriv"), ...user, ...drop, "--", ...command];
  return ["--mount", "--propagation", "private", "/bin/sh", "-c", prelude, "sh", resolver ?? "", ...setpriv];
}

/** Whether our user namespace knows a user id (rootless ones usually know only one). */
function isMapped(uid: number): boolean {
  try {
    return readFileSync("/proc/self/uid_map", "utf8")
      .split("\n")
      .map((line) => line.trim().split(/\s+/).map(Number))
      .some(([first = -1, , count = 0]) => first >= 0 && uid >= first && uid < first + count);
  } catch {
    return false;
  }
}
