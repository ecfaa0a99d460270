/** The servers of `bench:dns`: how each is given the names, and started in the foreground with one thread. */
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { domain, type BenchName } from "./dns-names.ts";

export interface BenchServer {
  readonly name: string;
  /** Debian's package of the program; ours needs none. */
  readonly debian?: string;
  readonly program: string;
  /** Writes what it needs into an empty folder; returns its arguments. */
  readonly prepare: (folder: string, port: number, names: readonly BenchName[]) => readonly string[];
  readonly version: () => string;
}

const versionOf = (program: string, argument: string, pattern: RegExp) => (): string => {
  const { stdout, stderr } = spawnSync(program, [argument], { encoding: "utf8" });
  return pattern.exec(stdout + stderr)?.[1] ?? "unknown";
};

function ours(transport: "batch" | "dgram"): BenchServer {
  return {
    name: `inroad-${transport}`,
    program: process.execPath,
    prepare: (_, port, names) => [
      "--disable-warning=ExperimentalWarning",
      "bench/dns-server.ts",
      String(names.length),
      String(port),
      transport,
    ],
    version: () => `Node ${process.versions.node}`,
  };
}

const dnsmasq: BenchServer = {
  name: "dnsmasq",
  debian: "dnsmasq-base",
  program: "dnsmasq",
  prepare(folder, port, names) {
    const hosts = join(folder, "hosts");
    writeFileSync(hosts, lines(names.map(({ address, name }) => `${address} ${name.slice(0, -1)}`)));
    const options = ["--no-resolv", "--no-hosts", "--local-ttl=5", "--user=root", `--pid-file=${folder}/pid`];
    const listen = ["--listen-address=127.0.0.1", "--bind-interfaces", `--port=${port}`];
    return [
      "--keep-in-foreground",
      "--conf-file=/dev/null",
      ...listen,
      ...options,
      `--local=/${domain}/`,
      `--addn-hosts=${hosts}`,
    ];
  },
  version: versionOf("dnsmasq", "--version", /version (\S+)/),
};

const unbound: BenchServer = {
  name: "unbound",
  debian: "unbound",
  program: "unbound",
  prepare(folder, port, names) {
    const file = join(folder, "unbound.conf");
    const options = [
      `interface: 127.0.0.1@${port}`,
      "num-threads: 1",
      "do-daemonize: no",
      'chroot: ""',
      'username: ""',
      'pidfile: ""',
      `directory: "${folder}"`,
      "use-syslog: no",
      'module-config: "iterator"',
      `local-zone: "${domain}." static`,
      ...names.map(({ name, address }) => `local-data: "${name} 5 IN A ${address}"`),
    ];
    const control = ["remote-control:", "  control-enable: no"];
    writeFileSync(file, lines(["server:", ...options.map((option) => `  ${option}`), ...control]));
    return ["-d", "-c", file];
  },
  version: versionOf("unbound", "-V", /Version (\S+)/),
};

const knot: BenchServer = {
  name: "knot",
  debian: "knot",
  program: "knotd",
  prepare(folder, port, names) {
    mkdirSync(join(folder, "db"));
    const records = names.map(({ name, address }) => `${name} 5 IN A ${address}`);
    const soa = `${domain}. 5 IN SOA ns.dns.${domain}. hostmaster.${domain}. 1 7200 1800 86400 5`;
    writeFileSync(
      join(folder, "zone"),
      lines([soa, `${domain}. 5 IN NS ns.dns.${domain}.`, `ns.dns.${domain}. 5 IN A 10.96.0.10`, ...records]),
    );
    const file = join(folder, "knot.conf");
    writeFileSync(
      file,
      lines([
        "server:",
        `  rundir: ${folder}`,
        `  listen: 127.0.0.1@${port}`,
        ...["udp-workers", "tcp-workers", "background-workers"].map((workers) => `  ${workers}: 1`),
        "database:",
        `  storage: ${folder}/db`,
        "zone:",
        `  - domain: ${domain}`,
        `    file: ${folder}/zone`,
        "    journal-content: none",
      ]),
    );
    return ["-c", file];
  },
  version: versionOf("knotd", "--version", /(\d\S+)/),
};

export const servers: readonly BenchServer[] = [ours("batch"), ours("dgram"), dnsmasq, unbound, knot];

function lines(all: readonly string[]): string {
  return `${all.join("\n")}\n`;
}
