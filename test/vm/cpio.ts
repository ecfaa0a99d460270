/** Archives that the kernel unpacks as its first file system: format "newc" of cpio (Documentation/driver-api/early-userspace/buffer-format.rst). */
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { dirname } from "node:path";

/** By path in the archive, without a slash at its begin: the file of the host with that content. */
export type Content = ReadonlyMap<string, string>;

const DIRECTORY = 0o040755;
const PROGRAM = 0o100755;

/** Writes an archive of these files, all of them executable, and the folders they are in. */
export function writeArchive(file: string, content: Content, emptyFolders: readonly string[]): void {
  const archive = openSync(file, "wx", 0o600);
  let inode = 0;
  const add = (name: string, mode: number, body: Buffer): void => {
    const head = header({ name, mode, inode: ++inode, size: body.length });
    for (const part of [head, body, padding(body.length)]) writeAll(archive, part);
  };
  try {
    for (const folder of foldersOf([...content.keys()], emptyFolders))
      add(folder, DIRECTORY, Buffer.alloc(0));
    for (const [name, source] of content) add(name, PROGRAM, readFileSync(source));
    add("TRAILER!!!", 0, Buffer.alloc(0));
  } finally {
    closeSync(archive);
  }
}

/** Every folder comes after the one it is in. */
function foldersOf(names: readonly string[], empty: readonly string[]): readonly string[] {
  const folders = new Set(empty);
  for (const name of names) {
    for (let folder = dirname(name); folder !== "."; folder = dirname(folder)) folders.add(folder);
  }
  return [...folders].sort();
}

interface Entry {
  readonly name: string;
  readonly mode: number;
  readonly inode: number;
  readonly size: number;
}

function header({ name, mode, inode, size }: Entry): Buffer {
  const [links, rest] = [1, 0];
  const nameLength = Buffer.byteLength(name) + 1;
  const fields = [inode, mode, rest, rest, links, rest, size, rest, rest, rest, rest, nameLength, rest];
  const text = `070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}${name}\0`;
  return Buffer.concat([Buffer.from(text), padding(text.length)]);
}

/** To a multiple of four bytes. */
function padding(length: number): Buffer {
  return Buffer.alloc((4 - (length % 4)) % 4);
}

function writeAll(file: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
}
