export type { CommandResult, ConntrackEntry, LoopbackPlace, NetNs, NetPlace, Tuple } from "./types.ts";
export { closeNetNs, createNetNs, enterNetNs, homeNetNs, inNetNs, isSameNetNs, openNetNs } from "./netns.ts";
export {
  clusterEnd,
  connectOptions,
  endsOf,
  reachEnd,
  tcpConnect,
  tcpListener,
  udpSocket,
} from "./sockets.ts";
export { openEchoSocket } from "./echo.ts";
export { takePulse, type Pulse } from "./pulse.ts";
export { openLink } from "./link.ts";
export type { Link } from "./link.ts";
export { clientProxyPort, imageOf, imagePort, isLoopback, layOut, mostClusters } from "./loopback.ts";
export { clearPorts, createPortTable, portIn, setPort } from "./port-table.ts";
export type { End, LoopbackMap } from "./loopback.ts";
export { createLoopbackNetwork, keyOf } from "./loopback-network.ts";
export type { Claim, DatagramFlow, LoopbackNetwork, ServiceEnd, Steering } from "./loopback-network.ts";
export { openUdpBatch } from "./udp-batch.ts";
export { findProgram } from "./programs.ts";
export { run, spawnIn } from "./run.ts";
export { bridgeBatch, getSysctl, hasLink, ipBatch, routeGet, setSysctls } from "./network.ts";
export type { RouteTo } from "./network.ts";
export { showLink, showRoutes } from "./show.ts";
export type { ShownLink, ShownRoute } from "./show.ts";
export { startNftThread } from "./nft-worker.ts";
export { iptablesRestore, nft } from "./rules.ts";
export type { NftOptions } from "./rules.ts";
export { conntrack } from "./conntrack.ts";
export type { ConntrackFilter } from "./conntrack.ts";
export { unansweredConnections } from "./unanswered.ts";
export type { UnansweredConnection } from "./unanswered.ts";
export { prepareWorker, startWorker } from "./worker.ts";
export type { SupervisedWorker, WorkerEvent } from "./worker.ts";
export { startReaper } from "./reaper.ts";
