/**
 * An independent look at the overlay, run at a place of a cluster: `node capture.ts TOKEN END`. Says `listening`, then
 * how many VXLAN datagrams with TOKEN in them crossed until one with END came. Works without root, unlike tcpdump.
 */
import { homeNetNs } from "#kernel";
import { startCapture } from "../net/node-capture.ts";

const [token = "", end = ""] = process.argv.slice(2);
const capture = startCapture(homeNetNs(), "eth0");
let seen = 0;
console.log("listening");
const look = setInterval(() => {
  for (const { text, payload } of capture.frames()) {
    if (!text.endsWith(" udp 8472")) continue;
    if (payload.includes(end)) {
      clearInterval(look);
      capture.close();
      console.log(`seen ${seen}`);
      return;
    }
    if (payload.includes(token)) seen += 1;
  }
}, 5);
