// The one connection to the server: requests with a number, answers with the same, pictures as raw bytes.

export class Net {
  constructor(told) {
    this.told = told; // called with a sentence when the connection is lost or back
    this.next = 1;
    this.waiting = new Map();
    this.delay = 500;
    this.opened = this.connect();
  }

  connect() {
    return new Promise((resolve) => {
      const socket = new WebSocket(`ws://${location.host}/socket`);
      socket.binaryType = "arraybuffer";
      socket.onopen = () => {
        this.socket = socket;
        if (this.lost) this.told("");
        this.lost = false;
        this.delay = 500;
        resolve();
      };
      socket.onmessage = (event) => this.take(event.data);
      socket.onclose = () => {
        this.lost = true;
        this.told("The server does not answer. Is genzoo explore still running?");
        for (const ask of this.waiting.values()) ask.fail(new Error("the connection was lost"));
        this.waiting.clear();
        setTimeout(() => { this.opened = this.connect(); this.opened.then(resolve); }, this.delay);
        this.delay = Math.min(8000, 2 * this.delay);
      };
    });
  }

  take(data) {
    const size = new DataView(data).getUint32(0, true);
    const answer = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, size)));
    const ask = this.waiting.get(answer.id);
    if (!ask) return;
    const bytes = new Uint8Array(data, 4 + size);
    if (answer.pictures) answer.pictures.bytes = bytes;
    else answer.bytes = bytes;
    if (answer.error !== undefined) { this.waiting.delete(answer.id); ask.fail(new Error(answer.error)); return; }
    if (Object.keys(answer).some((key) => !["id", "done", "bytes"].includes(key))) { ask.last = answer; ask.part(answer); }
    if (answer.done) { this.waiting.delete(answer.id); ask.resolve({ ...ask.last, ...answer }); }
  }

  // Returns a promise of the last answer; `part` is called with each, and the promise's `cancel` takes the request back.
  ask(what, values = {}, part = () => {}) {
    const id = this.next++;
    const promise = new Promise((resolve, fail) => {
      this.waiting.set(id, { resolve, fail, part, last: {} });
      this.opened.then(() => this.socket.send(JSON.stringify({ ...values, id, do: what })));
    });
    promise.cancel = () => {
      if (!this.waiting.delete(id)) return;
      this.opened.then(() => this.socket.send(JSON.stringify({ cancel: id })));
    };
    return promise;
  }
}

// Runs `work` with the newest value only: while one is under way, later ones replace each other.
export function latest(work) {
  let busy = false, next = null;
  const run = async (values) => {
    busy = true;
    try { await work(...values); } finally {
      busy = false;
      if (next) { const again = next; next = null; run(again); }
    }
  };
  return (...values) => { if (busy) next = values; else run(values); };
}
