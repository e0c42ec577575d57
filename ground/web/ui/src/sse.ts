// Server-sent events over fetch. EventSource hides what this page has to show: why a stream was refused, when it fell
// silent, and when it will be tried again.

export interface ServerEvent {
  event: string;
  data: string;
  id: string | null;
}

/** Splits a byte stream into events. Give it what arrives, in order. */
export class EventParser {
  private rest = "";
  private event = "";
  private data: string[] = [];
  private id: string | null = null;
  private readonly decoder = new TextDecoder();

  /** An event this long is not one of ours: the limit keeps a broken peer from filling the memory. */
  static readonly maxRest = 16 << 20;

  push(bytes: Uint8Array): ServerEvent[] {
    this.rest += this.decoder.decode(bytes, { stream: true });
    const out: ServerEvent[] = [];
    let at = 0;
    for (;;) {
      const end = this.rest.indexOf("\n", at);
      if (end < 0) break;
      const done = this.line(this.rest.slice(at, end).replace(/\r$/, ""));
      if (done) out.push(done);
      at = end + 1;
    }
    this.rest = this.rest.slice(at);
    if (this.rest.length > EventParser.maxRest) throw new Error("an event is too long");
    return out;
  }

  private line(line: string): ServerEvent | null {
    if (line === "") {
      const done = this.data.length > 0 ? { event: this.event || "message", data: this.data.join("\n"), id: this.id } : null;
      this.event = "";
      this.data = [];
      this.id = null;
      return done;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return null; // a comment
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.event = value;
    else if (field === "data") this.data.push(value);
    else if (field === "id") this.id = value;
    return null;
  }
}
