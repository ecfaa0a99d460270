/**
 * Holds a cluster: a process in the host's namespaces that starts the cluster process in its own, lends it sockets of
 * the host, and ends when it ends. Every process of the cluster descends from this one; killing either ends all.
 */
import { spawn, type ChildProcess, type SpawnOptions } from "node:child_process";
import { createSocket, type Socket } from "node:dgram";
import { openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { getServers } from "node:dns";
import type { Server } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { entryUrl } from "#lib/entry";
import { InroadError, messageOf } from "#lib/errors";
import {
  nodeConfigs,
  serviceCIDRs,
  type ClusterConfig,
  type ClusterStatus,
  type FromCluster,
  type Publish,
  type ToCluster,
} from "#cluster";
import type { IpFamily } from "#lib/ip";
import type { ConfigFile } from "./config-file.ts";
import type { Egress } from "./egress.ts";
import { createAuthority, kubeconfigText, type Authority } from "./identity.ts";
import type { Loaded } from "./manifests.ts";
import type { UpOptions } from "./options.ts";
import { listenOnFirst, listenOnRequested } from "./ports.ts";
import { describeReady, type ReadyFacts } from "./ready.ts";
import { claim, firstProcess, release } from "./state.ts";

const stopGraceMs = 8_000;
const apiPorts = [6443];
/** Ports of the ingress, and where they are published by default: the first that is free and permitted. */
const defaultPublish = [
  { port: 80, hostPorts: [80, 8080] },
  { port: 443, hostPorts: [443, 8443] },
];

interface Listener extends Publish {
  readonly server: Server;
  /** Host ports that were tried before, with reasons. */
  readonly passedOver: readonly string[];
}

/** Brings the cluster up and stays until it ends or a signal comes. Returns the exit status. */
export async function supervise(options: UpOptions): Promise<number> {
  const stateDir = claim(options.name);
  const listeners: Server[] = [];
  try {
    const api = await listenOnFirst(apiPorts);
    listeners.push(api.server);
    const published = await publish(options.publish);
    listeners.push(...published.map(({ server }) => server));
    return await run(options, { stateDir, api, published });
  } finally {
    for (const server of listeners) server.close();
    release(stateDir);
  }
}

interface Prepared {
  readonly stateDir: string;
  readonly api: { readonly server: Server; readonly port: number };
  readonly published: readonly Listener[];
}

/** What the user's files say. */
interface Input extends ConfigFile {
  readonly loaded: Loaded;
}

/** Reads the user's files. Loaded when the cluster process is on its way: schema and YAML parser are large. */
async function readInput(options: UpOptions): Promise<Input> {
  const [{ loadManifests }, { loadConfigFile }] = await Promise.all([
    import("./manifests.ts"),
    import("./config-file.ts"),
  ]);
  const loaded = loadManifests(options.filename);
  for (const warning of loaded.warnings) console.error(`warning: ${warning}`);
  return { loaded, ...loadConfigFile(options.config, familiesOf(options)) };
}

async function run(options: UpOptions, prepared: Prepared): Promise<number> {
  const started = performance.now();
  const { stateDir, api, published } = prepared;
  const log = openSync(join(stateDir, "log"), "a", 0o600);
  const inNamespaces = options.proxyMode !== "userspace";
  const child = startCluster(log, inNamespaces);
  const line = createLine(child);
  const exited = new Promise<string>((resolve) => {
    child.once("exit", (code, signal) => resolve(signal ?? `exit status ${code}`));
    child.once("error", (error) => resolve(error.message));
  });
  const ready = whenReady(child, (text) => writeSync(log, `${text}\n`));
  const read = readInput(options);
  const egress = inNamespaces ? openWayOut(stateDir, line, booted(child), read) : hostsWayOut();
  const stopRequested = stopSignal();
  try {
    const [authority, input] = await Promise.all([createAuthority(), read]).catch((error: unknown) => {
      // It has no orders yet, so there is nothing to take down in order.
      child.kill("SIGKILL");
      throw error;
    });
    equip(line, options, { ...prepared, ...input, authority });
    const first = await Promise.race([ready, exited, stopRequested]);
    if (typeof first === "string") return first === "stop" ? 0 : clusterDied(first, stateDir);
    const seconds = (performance.now() - started) / 1000;
    const { words } = await egress;
    announce(options, first, { api: api.port, published, stateDir, seconds, egress: words });
    const shown = options.show === undefined || (await showRequests(options.name, options.show));
    const end = options.once ? 0 : await untilEnd(exited, stopRequested);
    return shown ? end : 1;
  } finally {
    line.say({ type: "stop" });
    const killer = setTimeout(() => child.kill("SIGKILL"), stopGraceMs);
    await exited;
    clearTimeout(killer);
    await (await egress).close();
  }
}

/** The way to talk to the cluster process. */
interface Line {
  say(message: ToCluster): void;
  /** Hands a socket over: both processes would accept, so ours closes its copy once the other has it. */
  lend(message: ToCluster, handle: Server | Socket): void;
  onMessage(listener: (message: FromCluster) => void): void;
}

function createLine(child: ChildProcess): Line {
  return {
    say: (message) => {
      if (child.connected) child.send(message);
    },
    lend: (message, handle) => {
      if (child.connected) child.send(message, handle, {}, () => handle.close());
      // Nobody is there to take it; open, it would keep this process alive.
      else handle.close();
    },
    onMessage: (listener) => child.on("message", listener),
  };
}

interface Equipment extends Prepared, Input {
  readonly authority: Authority;
}

/** Gives the cluster process its orders, the host's sockets and its identity; serves its wishes for certificates. */
function equip(line: Line, options: UpOptions, given: Equipment): void {
  const { stateDir, api, published, authority } = given;
  const { objects, locations } = given.loaded;
  line.say({ type: "start", config: configOf(options, given), objects, locations });
  line.lend({ type: "api-listener" }, api.server);
  for (const { server, port } of published) line.lend({ type: "publish-listener", port }, server);
  const dns = createSocket("udp4");
  dns.bind(0, () => line.lend({ type: "dns-socket" }, dns));
  carryDnsByTcp(line);
  const { identity, admin, issueIngress } = authority;
  const issue = async (hosts: readonly string[]): Promise<void> =>
    line.say({ type: "ingress-certificate", ...(await issueIngress(hosts)) });
  line.onMessage((message) => {
    if (message.type !== "issue") return;
    issue(message.hosts).catch((error: unknown) =>
      console.error(`inroad: no certificate: ${messageOf(error)}`),
    );
  });
  line.say({ type: "identity", identity });
  const privately = { mode: 0o600 };
  writeFileSync(join(stateDir, "ca.crt"), identity.caCertificate, privately);
  writeFileSync(
    join(stateDir, "kubeconfig"),
    kubeconfigText(options.name, api.port, identity, admin),
    privately,
  );
}

/** Loaded when the first such query comes: most answers fit into a datagram. */
function carryDnsByTcp(line: Line): void {
  let carrier: Promise<(message: FromCluster) => Promise<void>> | undefined;
  line.onMessage((message) => {
    if (message.type !== "dns-tcp") return;
    carrier ??= import("./host-dns.ts").then(({ createTcpCarrier }) =>
      createTcpCarrier(getServers(), line.say),
    );
    void carrier.then((carry) => carry(message));
  });
}

/** The end of the cluster process before it was ready, with the last words it left in its log. */
function clusterDied(how: string, stateDir: string): never {
  const last = readFileSync(join(stateDir, "log"), "utf8").trim().split("\n").at(-1);
  throw new InroadError("ClusterDied", `the cluster process ended (${how}): ${last}`, {
    mend: "run `inroad doctor`; it says what this machine lacks",
    exitStatus: 1,
  });
}

async function showRequests(name: string, url: string): Promise<boolean> {
  const { show } = await import("./show.ts");
  return show(name, url);
}

/** Opens the way out once the cluster process lives. Without one the cluster works all the same; the words say why. */
async function openWayOut(
  stateDir: string,
  line: Line,
  alive: Promise<number | undefined>,
  input: Promise<Pick<Input, "addressPools">>,
): Promise<Pick<Egress, "words" | "close">> {
  const home = await alive;
  const { openEgress, undoEgress } = await import("./egress.ts");
  const init = firstProcess(stateDir);
  try {
    if (init === undefined || home === undefined)
      throw new InroadError("NoEgress", "the cluster process is gone");
    const { addressPools } = await input;
    const egress = await openEgress(stateDir, { init, home, addressPools });
    line.say({ type: "egress", link: egress.link });
    return egress;
  } catch (error) {
    return {
      words: `pods cannot reach other networks: ${messageOf(error)}`,
      close: () => undoEgress(stateDir),
    };
  }
}

/** Without namespaces nothing keeps pods from the networks of the host, and nothing needs to be opened. */
function hostsWayOut(): Promise<Pick<Egress, "words" | "close">> {
  return Promise.resolve({ words: "pods use the host's own network", close: () => Promise.resolve() });
}

/** Fulfilled when the cluster process runs in its namespaces, with its descriptor of its home network, or has ended. */
function booted(child: ChildProcess): Promise<number | undefined> {
  return new Promise((resolve) => {
    child.once("exit", () => resolve(undefined));
    child.on("message", (message: FromCluster) => {
      if (message.type === "booted") resolve(message.home);
    });
  });
}

/** Waits for a signal (0) or the end of the cluster (1). */
async function untilEnd(exited: Promise<string>, stop: Promise<"stop">): Promise<number> {
  const end = await Promise.race([exited, stop]);
  if (end === "stop") return 0;
  console.error(`inroad: the cluster process ended (${end})`);
  return 1;
}

/** Starts the cluster process, in namespaces of its own where there are any; it dies with us whatever happens to us. */
function startCluster(log: number, inNamespaces: boolean): ChildProcess {
  const cluster = ["--disable-warning=ExperimentalWarning", fileURLToPath(entryUrl("cluster/main"))];
  // A session of its own: Ctrl-C is for us, and we stop it in order.
  const options: SpawnOptions = { stdio: ["ignore", log, log, "ipc"], detached: true };
  // It ends when our line to it does.
  if (!inNamespaces) return spawn(process.execPath, cluster, options);
  const user = process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"];
  return spawn(
    "setpriv",
    [
      ...["--pdeathsig", "KILL", "unshare", ...user, "--net", "--mount", "--pid"],
      ...["--fork", "--kill-child=KILL", "--mount-proc"],
      ...[process.execPath, ...cluster],
    ],
    options,
  );
}

function whenReady(child: ChildProcess, writeLog: (line: string) => void): Promise<ClusterStatus> {
  const { promise, resolve, reject } = Promise.withResolvers<ClusterStatus>();
  // It may fail before anybody waits for it.
  promise.catch(() => undefined);
  child.on("message", (message: FromCluster) => {
    if (message.type === "ready") resolve(message.summary);
    if (message.type === "log") writeLog(message.line);
    if (message.type === "failed") {
      reject(
        new InroadError(message.code, message.message, {
          exitStatus: 1,
          ...(message.mend === undefined ? {} : { mend: message.mend }),
        }),
      );
    }
  });
  return promise;
}

/** The first signal asks for the end; those that follow change nothing, the end is already under way. */
function stopSignal(): Promise<"stop"> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => resolve("stop"));
  });
}

async function publish(requested: readonly string[]): Promise<Listener[]> {
  if (requested.includes("none")) {
    if (requested.length > 1) throw badPublish(requested.join(", "));
    return [];
  }
  const listeners: Listener[] = [];
  if (requested.length === 0) {
    for (const { port, hostPorts } of defaultPublish) {
      const { server, port: hostPort, passedOver } = await listenOnFirst(hostPorts);
      listeners.push({ server, hostPort, port, passedOver });
    }
  }
  for (const text of requested) {
    const [hostPort, port] = text.split(":").map(Number);
    if (!isPort(hostPort) || !isPort(port)) throw badPublish(text);
    listeners.push({ server: await listenOnRequested(hostPort), hostPort, port, passedOver: [] });
  }
  return listeners;
}

function isPort(value: number | undefined): value is number {
  return value !== undefined && Number.isInteger(value) && value > 0 && value < 65536;
}

function badPublish(text: string): InroadError {
  return new InroadError("InvalidPublish", `"${text}" is not HOST:PORT`, {
    where: "--publish",
    mend: "for example --publish 8080:80, or --publish none",
  });
}

/** The primary one first. */
function familiesOf({ ipFamilies }: UpOptions): readonly IpFamily[] {
  return ipFamilies === "dual" ? ["IPv4", "IPv6"] : ["IPv4"];
}

function configOf(options: UpOptions, given: Equipment): ClusterConfig {
  const { stateDir, published, commands, addressPools } = given;
  const ipFamilies = familiesOf(options);
  return {
    name: options.name,
    domain: "cluster.local",
    nodes: nodeConfigs(options.nodes, ipFamilies, options.zones),
    proxyMode: options.proxyMode,
    overlay: options.overlay,
    ipFamilies,
    serviceCIDRs: serviceCIDRs(ipFamilies),
    publish: published.map(({ hostPort, port }) => ({ hostPort, port })),
    stateDir,
    root: process.getuid?.() === 0,
    upstreamDns: getServers(),
    commands,
    addressPools,
  };
}

function announce(options: UpOptions, status: ClusterStatus, facts: ReadyFacts): void {
  const text = describeReady(status, facts);
  if (process.send !== undefined) return void process.send({ ready: text }, () => process.disconnect?.());
  console.log(text);
  if (!options.once && options.show === undefined) console.log("  press Ctrl-C to take it down");
}
