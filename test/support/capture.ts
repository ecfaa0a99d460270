/**
 * An independent look at the overlay, run at a place of a cluster: `node capture.ts TOKEN END`. Says `listening`, then
 * how many VXLAN datagrams with TOKEN in them crossed until one with END came. Works without root, unlike tcpdump.
 */
import { homeNetNs } from "#kernel";
import { startCapture } from "../net/node-capture.ts";

const vxlanPort = 8472;
const [token = "", end = ""] = process.argv.slice(2);
const capture = startCapture(homeNetNs());
let seen = 0;
console.log("listening");
const look = setInterval(() => {
  for (const { destinationPort, payload } of capture.udp()) {
    if (destinationPort !== vxlanPort) continue;
    if (payload.includes(end)) {
      clearInterval(look);
      capture.close();
      console.log(`seen ${seen}`);
      return;
    }
    if (payload.includes(token)) seen += 1;
  }
}, 5);
