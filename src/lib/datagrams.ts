/** What a server needs of a UDP socket, whoever makes the system calls. */

/** Where a datagram came from. */
export interface DatagramPeer {
  readonly address: string;
  readonly port: number;
}

/** A socket made elsewhere (bound), or an IP literal and port (0: any free one). */
export type DatagramListen = { readonly fd: number } | { readonly address: string; readonly port: number };

export interface DatagramSocket {
  readonly port: number;
  /** Never throws: a datagram that cannot be sent is lost, which is all that UDP promises. */
  send(bytes: Uint8Array, to: DatagramPeer): void;
  close(): Promise<void>;
}

/**
 * Opens a socket; rejects with the system's error when it cannot listen.
 * @param receive called for each datagram; the bytes are its own to keep. It must not throw.
 */
export type OpenDatagrams = (
  listen: DatagramListen,
  receive: (bytes: Uint8Array, from: DatagramPeer) => void,
) => Promise<DatagramSocket>;
