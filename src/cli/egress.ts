/**
 * The host's side of the way out. As root: a veth pair and masquerading in a table of our own; otherwise `pasta`, which needs
 * no rights. What is changed on the host is written down first, so that `down` can undo it after a kill.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { findProgram, ipBatch, nft, run, setSysctls } from "#kernel";
import { InroadError, messageOf } from "#lib/errors";
import { canonicalCidr, familyOf, numberToIPv4, parseCidr } from "#lib/ip";
import { parseRange, rangesOverlap } from "#lib/ip-range";
import type { AddressPool } from "#model";
import { addresses, egressDevice, poolNetworks, type EgressLink } from "#cluster";

const forwarding = "net/ipv4/ip_forward";
const forwardingMark = "/run/inroad.forwarding";

interface HostChange {
  readonly table: string;
  readonly device: string;
}

export interface Egress {
  readonly link: EgressLink;
  /** How it goes out, in words for people. */
  readonly words: string;
  close(): Promise<void>;
}

export interface EgressOptions {
  /** The cluster's first process. */
  readonly init: number;
  /** Its descriptor of its home network. */
  readonly home: number;
  /** The host gets routes to them. */
  readonly addressPools: readonly AddressPool[];
}

/** Opens the way out for a cluster. Throws an InroadError that says why there is none. */
export function openEgress(stateDir: string, { init, home, addressPools }: EgressOptions): Promise<Egress> {
  const network = `/proc/${init}/fd/${home}`;
  return process.getuid?.() === 0
    ? throughHost(stateDir, network, addressPools)
    : throughPasta(init, network);
}

async function throughHost(
  stateDir: string,
  network: string,
  addressPools: readonly AddressPool[],
): Promise<Egress> {
  const id = createHash("sha256").update(stateDir).digest();
  const change: HostChange = {
    table: `inroad-${id.toString("hex", 0, 4)}`,
    device: `inroad-${id.toString("hex", 0, 4)}`,
  };
  const [host, cluster] = freePair(id);
  writeFileSync(changeFile(stateDir), JSON.stringify(change), { mode: 0o600 });
  await ipBatch(undefined, [
    `link add ${change.device} type veth peer name ${egressDevice} netns ${network}`,
    `address add ${host}/30 dev ${change.device}`,
    `link set ${change.device} up`,
  ]);
  switchForwardingOn();
  await nft(
    undefined,
    `table ip ${change.table} {
      chain postrouting {
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr ${cluster} oifname != "${change.device}" masquerade
      }
    }
    `,
  );
  const routed = await routePools(poolNetworks(addressPools), change.device, cluster);
  return {
    link: { address: `${cluster}/30`, gateway: host },
    words: `pods reach the host's networks${routed.length > 0 ? `; the host reaches the load balancer's addresses (${routed.join(", ")})` : ""}`,
    close: () => undoEgress(stateDir),
  };
}

/**
 * The first cluster gets the host's routes to these networks; the others are reached by their published ports. Networks that the
 * host itself is in stay as they are.
 */
async function routePools(pools: readonly string[], device: string, via: string): Promise<string[]> {
  const own = Object.values(networkInterfaces()).flatMap((list) =>
    (list ?? []).map(({ cidr }) => cidr ?? ""),
  );
  const foreign = pools.filter(
    (pool) => familyOf(pool) === "IPv4" && !own.some((cidr) => overlap(cidr, pool)),
  );
  const routes = foreign.map((pool) => `route add ${pool} via ${via} dev ${device}`);
  return ipBatch(undefined, routes).then(
    () => foreign,
    () => [],
  );
}

function overlap(a: string, b: string): boolean {
  const [one, other] = [a, b].map((cidr) => parseRange(canonicalCidr(cidr) ?? ""));
  return one !== undefined && other !== undefined && rangesOverlap(one, other);
}

/** A /30 of the network for host links that no device of the host has. */
function freePair(id: Buffer): [host: string, cluster: string] {
  const taken = new Set(
    Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address)),
  );
  const { base } = parseCidr(addresses.hostLinks);
  const start = id.readUInt16BE(4) >> 2;
  for (let step = 0; step < 1 << 14; step += 1) {
    const offset = ((start + step) % (1 << 14)) << 2;
    const [host, cluster] = [offset + 1, offset + 2].map((value) => numberToIPv4(base + value));
    if (host !== undefined && cluster !== undefined && !taken.has(host)) return [host, cluster];
  }
  throw new InroadError("NoFreeNetwork", `every network of ${addresses.hostLinks} is taken on this host`);
}

/** Undoes what `throughHost` changed, also after a kill. Idempotent. */
export async function undoEgress(stateDir: string): Promise<void> {
  let change: HostChange;
  try {
    change = JSON.parse(readFileSync(changeFile(stateDir), "utf8"));
  } catch {
    return;
  }
  await run(undefined, "nft", ["delete", "table", "ip", change.table]);
  await run(undefined, "ip", ["link", "delete", change.device]);
  const others = Object.keys(networkInterfaces()).some((name) => name.startsWith("inroad-"));
  if (!others) switchForwardingBack();
}

/** Who switches the host's forwarding on leaves a mark, so that the last cluster to go switches it off again. */
function switchForwardingOn(): void {
  if (readFileSync(`/proc/sys/${forwarding}`, "utf8").trim() !== "0") return;
  writeFileSync(forwardingMark, "", { mode: 0o600 });
  setSysctls(undefined, { [forwarding]: "1" });
}

function switchForwardingBack(): void {
  if (!existsSync(forwardingMark)) return;
  setSysctls(undefined, { [forwarding]: "0" });
  rmSync(forwardingMark);
}

function changeFile(stateDir: string): string {
  return join(stateDir, "egress.json");
}

/** Addresses of its own, so that the host's are reached like any other; the host's loopback is not reachable. */
const pastaAddresses = [
  "--address",
  "100.126.255.250",
  "--netmask",
  "255.255.255.252",
  "--gateway",
  "100.126.255.249",
];

async function throughPasta(init: number, network: string): Promise<Egress> {
  const program = findProgram("pasta");
  const options = [
    "--config-net",
    ...pastaAddresses,
    "--no-map-gw",
    "-t",
    "none",
    "-u",
    "none",
    "-T",
    "none",
    "-U",
    "none",
  ];
  const namespaces = ["--userns", `/proc/${init}/ns/user`, "--netns", network];
  const child = spawn(
    "setpriv",
    ["--pdeathsig", "KILL", program, "-f", ...options, "--ns-ifname", egressDevice, ...namespaces],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  const said: string[] = [];
  child.stderr.on("data", (chunk: Buffer) => said.push(chunk.toString()));
  const ended = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(messageOf(error)));
    child.once("exit", (code) => resolve(said.join("").trim().split("\n").at(-1) || `exit status ${code}`));
  });
  const reason = await Promise.race([ended, deviceAppears(init)]);
  if (reason !== undefined) {
    child.kill("SIGKILL");
    throw new InroadError("NoEgress", `pasta: ${reason}`, {
      mend: "pasta needs /dev/net/tun to be readable and writable by everybody (mode 0666, Debian's default)",
    });
  }
  return {
    link: {},
    words: "pods reach the host's networks through pasta",
    close: async () => void child.kill("SIGKILL"),
  };
}

/** Fulfilled with undefined when the device is there, with a reason when it does not come. Looks, since nobody tells us. */
async function deviceAppears(init: number): Promise<string | undefined> {
  for (const deadline = Date.now() + 3_000; Date.now() < deadline;) {
    const devices = readFileSync(`/proc/${init}/net/dev`, "utf8");
    const routes = readFileSync(`/proc/${init}/net/route`, "utf8");
    if (devices.includes(`${egressDevice}:`) && routes.includes(egressDevice)) return undefined;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return "its device did not appear in 3 s";
}
