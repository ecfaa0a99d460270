/**
 * Which machines have fallen silent, by ICMP echo: a kernel answers within microseconds however busy its programs are, so
 * that silence is told from slowness much sooner than by asking a program.
 */
import { isIPv4 } from "#lib/ip";
import { startPulse, type Pulse, type PulseOptions } from "#lib/pulse";
import { openEchoSocket, type EchoSocket } from "./echo.ts";
import { isLoopback } from "./loopback.ts";
import type { NetPlace } from "./types.ts";

export type { Pulse } from "#lib/pulse";

/** Nobody is ever silent. */
const noPulse: Pulse = { watch() {}, heard() {}, isSilent: () => false, close() {} };

export interface TakePulseOptions extends Pick<PulseOptions, "onChange" | "misses"> {
  /** Told why nobody can be asked. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * Begins to ask from a place; only IPv4 addresses are asked. Without namespaces there are no machines that could fall silent.
 * @param place undefined means the namespace of this thread
 */
export function takePulse(place: NetPlace | undefined, { onFailure, ...options }: TakePulseOptions): Pulse {
  if (isLoopback(place)) return noPulse;
  let echo: EchoSocket;
  try {
    echo = openEchoSocket(place, (address) => pulse.heard(address));
  } catch (error) {
    onFailure(error);
    return noPulse;
  }
  const pulse = startPulse({ ...options, send: echo.send });
  return {
    ...pulse,
    watch: (addresses) => pulse.watch([...new Set(addresses)].filter(isIPv4)),
    close() {
      pulse.close();
      echo.close();
    },
  };
}
