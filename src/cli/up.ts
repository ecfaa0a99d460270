import { Command, InvalidArgumentError, Option } from "commander";
import { InroadError } from "#lib/errors";
import { notBuilt } from "./unbuilt.ts";
import { nameOption, type UpOptions } from "./options.ts";
import { preflight } from "./doctor.ts";
import { startDetached } from "./detach.ts";

export function upCommand(): Command {
  return new Command("up")
    .description("bring up a cluster and the objects of the given files; stays in the foreground")
    .option("-f, --filename <path>", "file, directory, or - for standard input; repeatable", collect, [])
    .option("-k, --kustomize <dir>", "kustomization directory")
    .addOption(nameOption())
    .option("--nodes <n>", "number of nodes, 1 to 20", nodeCount, 2)
    .option("--zones <names>", "zones of the nodes, in turn: --zones east,west", zoneNames, [])
    .addOption(
      new Option("--proxy-mode <mode>", "how Services reach pods")
        .choices(["nftables", "iptables", "ipvs", "userspace"])
        .default("nftables"),
    )
    .addOption(
      new Option("--overlay <kind>", "how nodes reach each other's pods: through VXLAN, or by plain routes")
        .choices(["vxlan", "host-gw"])
        .default("vxlan"),
    )
    .addOption(
      new Option("--ip-families <families>", "addresses of nodes, pods and Services: IPv4, or also IPv6")
        .choices(["ipv4", "dual"])
        .default("ipv4"),
    )
    .option(
      "--publish <host:port>",
      "publish a port of the load balancer on the host's loopback; repeatable; none for nothing",
      collect,
      [],
    )
    .option(
      "--config <file>",
      "local commands for containers, pools of load-balancer addresses (default: ./inroad.yaml if it is there)",
    )
    .option("--data-dir <dir>", "keep the state of the API in this directory")
    .option("--detach", "return when the cluster is ready", false)
    .option("--once", "bring up, show, take down; exit 0 only if all of it held", false)
    .option("--show <url>", "when ready, send requests to this URL from outside and show the path of one")
    .action(up);
}

async function up(options: UpOptions): Promise<void> {
  refuseUnbuilt(options);
  preflight(options.proxyMode);
  process.exitCode = options.detach ? await startDetached(options.name) : await holdCluster(options);
}

/** Loaded only here: neither other verbs nor the command that starts a cluster in the background need it. */
async function holdCluster(options: UpOptions): Promise<number> {
  const { supervise } = await import("./supervisor.ts");
  return supervise(options);
}

function refuseUnbuilt(options: UpOptions): void {
  if (options.kustomize !== undefined) throw notBuilt("--kustomize");
  if (options.dataDir !== undefined) throw notBuilt("--data-dir");
  if (options.proxyMode === "userspace") refuseForLoopback(options);
  if (options.detach && (options.once || options.show !== undefined)) {
    throw new InroadError("ConflictingOptions", "--detach goes with neither --once nor --show");
  }
}

function refuseForLoopback({ overlay, ipFamilies }: UpOptions): void {
  if (overlay !== "vxlan") {
    throw new InroadError("ConflictingOptions", "--proxy-mode userspace has no overlay", {
      where: "--overlay",
      mend: "leave it out: all nodes share one network of the host",
    });
  }
  if (ipFamilies !== "ipv4") {
    throw new InroadError("ConflictingOptions", "--proxy-mode userspace has no IPv6", {
      where: "--ip-families",
      mend: "leave it out: Linux has one IPv6 loopback address only",
    });
  }
}

function collect(value: string, previous: readonly string[]): string[] {
  return [...previous, value];
}

function nodeCount(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 20) throw new InvalidArgumentError("1 to 20 nodes.");
  return value;
}

/** Zones become values of a label (topology.kubernetes.io/zone). */
function zoneNames(text: string): string[] {
  const names = text.split(",");
  if (names.every((name) => /^[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/.test(name))) return names;
  throw new InvalidArgumentError("Names of letters, digits, '-', '_' and '.', with commas between them.");
}
