/**
 * Who has which addresses, kept on disc: one file for each attachment, named by its primary address. link(2) puts a whole,
 * flushed file in place or fails because the name is taken, so parallel calls never get the same address, and whatever is
 * killed in between leaves no half reservation and no lock behind.
 */
import { randomUUID } from "node:crypto";
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { codeOf } from "#lib/errors";
import { canonicalAddress } from "#lib/ip";
import { isObject } from "./document.ts";
import { isContainerID, isInterfaceName, type Attachment } from "./environment.ts";
import { freePlaces } from "./places.ts";

export interface Reservation {
  /** The file's name, which is the primary address. */
  readonly file: string;
  /** Undefined when the file cannot be read as one of ours: its address stays taken until GC. */
  readonly attachment: Attachment | undefined;
  readonly addresses: readonly string[];
}

export interface Reservations {
  list(): readonly Reservation[];
  find(attachment: Attachment): Reservation | undefined;
  /** Takes the next free address of each network; undefined when there is none. Throws an errno of the file system. */
  reserve(attachment: Attachment, podCIDRs: readonly string[]): Reservation | undefined;
  /** Whether `reserve` would find an address. Throws what keeps it from writing. */
  hasRoom(podCIDRs: readonly string[]): boolean;
  /** Idempotent. */
  release(reservation: Reservation): void;
  /** Removes what a killed call left. Not while others reserve. */
  tidy(): void;
}

const newPrefix = ".new-";

/** The reservations of one network. Nothing is read or made before it is needed. */
export function openReservations(dataDir: string, network: string): Reservations {
  const folder = join(dataDir, network);
  const names = (): readonly string[] => namesIn(folder);
  const list = (): readonly Reservation[] =>
    names()
      .filter((name) => canonicalAddress(name) === name)
      .map((name) => readReservation(folder, name));
  return {
    list,
    find: ({ containerID, ifname }) =>
      list().find(
        ({ attachment }) => attachment?.containerID === containerID && attachment.ifname === ifname,
      ),
    reserve(attachment, podCIDRs) {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      for (const { place, addresses } of freePlaces(podCIDRs, takenIn(list()), readPrevious(folder))) {
        const file = addresses[0] ?? "";
        if (!claim(folder, file, { ...attachment, addresses })) continue;
        writePrevious(folder, place);
        return { file, attachment, addresses };
      }
      return undefined;
    },
    hasRoom(podCIDRs) {
      accessSync(existingParent(folder), constants.W_OK);
      return freePlaces(podCIDRs, takenIn(list()), 0).next().done !== true;
    },
    release: ({ file }) => rmSync(join(folder, file), { force: true }),
    tidy() {
      for (const name of names()) if (name.startsWith(newPrefix)) rmSync(join(folder, name), { force: true });
    },
  };
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  }
}

function readReservation(folder: string, file: string): Reservation {
  const unknown = { file, attachment: undefined, addresses: [file] };
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(join(folder, file), "utf8"));
  } catch {
    // Released just now, or damaged.
    return unknown;
  }
  const { containerID, ifname, addresses } = isObject(value) ? value : {};
  if (typeof containerID !== "string" || !isContainerID(containerID)) return unknown;
  if (typeof ifname !== "string" || !isInterfaceName(ifname)) return unknown;
  if (!Array.isArray(addresses) || !addresses.every((one) => typeof one === "string")) return unknown;
  return { file, attachment: { containerID, ifname }, addresses };
}

function takenIn(reservations: readonly Reservation[]): ReadonlySet<string> {
  return new Set(reservations.flatMap(({ file, addresses }) => [file, ...addresses]));
}

/** False when somebody else has the file already. */
function claim(folder: string, file: string, content: object): boolean {
  const prepared = join(folder, `${newPrefix}${randomUUID()}`);
  try {
    writeFileSync(prepared, `${JSON.stringify(content)}\n`, { flag: "wx", mode: 0o600, flush: true });
    linkSync(prepared, join(folder, file));
    flushFolder(folder);
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  } finally {
    rmSync(prepared, { force: true });
  }
}

function flushFolder(folder: string): void {
  const fd = openSync(folder, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

const previousFile = ".previous";

/** The place given last. Only a hint, so that two who write it at once do no harm. */
function readPrevious(folder: string): number {
  try {
    return Number(readFileSync(join(folder, previousFile), "utf8"));
  } catch {
    return 0;
  }
}

function writePrevious(folder: string, place: number): void {
  const prepared = join(folder, `${newPrefix}${randomUUID()}`);
  writeFileSync(prepared, String(place), { mode: 0o600 });
  renameSync(prepared, join(folder, previousFile));
}

function existingParent(path: string): string {
  return existsSync(path) ? path : existingParent(dirname(path));
}
