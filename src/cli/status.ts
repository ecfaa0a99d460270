import { Command } from "commander";
import type { StatusAnswer } from "#cluster";
import { ask } from "./control.ts";
import { nameOption, outputOption } from "./options.ts";
import { kindOf } from "./ready.ts";
import { livingOwner, stateDir } from "./state.ts";

export function statusCommand(): Command {
  return new Command("status")
    .description("show a cluster; exit 0 only when it is ready")
    .addOption(nameOption())
    .addOption(outputOption(["text", "json"]))
    .action(async ({ name, output }: { name: string; output: string }) => {
      const status = await ask<StatusAnswer>(name, "/status");
      const pid = livingOwner(stateDir(name));
      console.log(
        output === "json"
          ? JSON.stringify({ apiVersion: "inroad.dev/v1", kind: "ClusterStatus", pid, ...status }, null, 2)
          : describeStatus(status, pid),
      );
      process.exitCode = status.ready ? 0 : 1;
    });
}

function describeStatus(status: StatusAnswer, pid: number | undefined): string {
  const state = status.ready ? "ready" : `not ready: waiting for ${status.waitingFor.join(", ")}`;
  const sections = [
    `cluster "${status.name}" (pid ${pid}, ${kindOf(status)}): ${state}`,
    status.notes.join("\n"),
    table(
      ["NODE", "ADDRESS", "READY", "MTU"],
      status.nodes.map((node) => [
        node.name,
        node.addresses.join(","),
        yes(node.ready),
        node.mtu === 0 ? "-" : String(node.mtu),
      ]),
    ),
    table(
      ["NAMESPACE", "POD", "NODE", "ADDRESS", "READY"],
      status.pods.map((pod) => [pod.namespace, pod.name, pod.node, pod.addresses.join(","), yes(pod.ready)]),
    ),
    table(
      ["NAMESPACE", "SERVICE", "TYPE", "CLUSTER-IP", "EXTERNAL-IP"],
      status.services.map((service) => [
        service.namespace,
        service.name,
        service.type,
        service.clusterIP,
        service.addresses.join(",") || "-",
      ]),
    ),
    table(
      ["HOST", "ADDRESS", "TLS"],
      status.hosts.map((host) => [host.host, host.address || "-", yes(host.tls)]),
    ),
    table(
      ["NODE", "SERVICE PORT", "CONNECTIONS", "SPREAD"],
      status.balance.map((one) => [one.node, one.list, String(one.connections), String(one.spread)]),
    ),
    status.silent
      .map(({ node, endpoint }) => `${endpoint} does not answer ${node}: nothing new is sent to it`)
      .join("\n"),
    status.faults.map(({ id, text }) => `fault ${id}: ${text} (inroad fault heal ${id})`).join("\n"),
    status.findings.map((finding) => `${finding.severity}: ${finding.object}: ${finding.message}`).join("\n"),
  ];
  return sections.filter((section) => section !== "").join("\n\n");
}

function yes(value: boolean): string {
  return value ? "yes" : "no";
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return "";
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? "").length)));
  return all
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
